"""A page as one string that needs nothing else, and the headers that let it load nothing else."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        html: the whole of it; scripts and styles stand inside.
        headers: of the reply. Their policy allows these scripts, these styles and requests to the
            server that sent the page.
    """

    html: str
    headers: dict[str, str]


def texts(folder: Path) -> dict[str, dict[str, str]]:
    """The texts of a page, with those of every page: key -> language -> text."""
    found: dict[str, dict[str, str]] = {}
    for one in (HERE, folder):
        found |= json.loads((one / "texts.json").read_text(encoding="utf-8"))
    return found


def page(folder: Path, name: str, scripts: Sequence[str] = (), **values: str) -> Page:
    """The page whose parts lie in a folder.

    Args:
        folder: holds `NAME.html.j2`, `NAME.css`, `NAME.js` and `texts.json`.
        name: of the page.
        scripts: names of further scripts in the folder; they come before the page's own.
        values: what else the template names; it is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]), autoescape=True, undefined=StrictUndefined
    )
    style = _joined([HERE / "frame.css", folder / f"{name}.css"])
    script = _joined([HERE / "frame.js", *(folder / f"{one}.js" for one in (*scripts, name))])
    early = _joined([HERE / "early.js"])
    html = environment.get_template(f"{name}.html.j2").render(
        texts=texts(folder),
        style=Markup(style),  # noqa: S704
        early=Markup(early),  # noqa: S704
        script=Markup(script),  # noqa: S704
        **values,
    )
    policy = (
        f"default-src 'none'; script-src {_hash(early)} {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(
        html,
        {
            "Content-Security-Policy": policy,
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


def _joined(files: Sequence[Path]) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in files)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
