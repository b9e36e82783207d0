"""The arena's page as one string, with the policy that lets it run its own script and no other."""

import base64
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent


def texts() -> dict[str, dict[str, str]]:
    """The page's texts: key -> language -> text."""
    found: dict[str, dict[str, str]] = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    return found


def page(study: str) -> tuple[str, str]:
    """The page and its Content-Security-Policy."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = (HERE / "arena.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("arena.html.j2").render(
        study=study,
        texts=texts(),
        css=Markup((HERE / "arena.css").read_text(encoding="utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
    )
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
