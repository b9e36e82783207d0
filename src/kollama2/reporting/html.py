"""The report: one self-contained HTML page that works offline and shows everything it rests on."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kollama2.errors import storage, visible
from kollama2.evaluation.fidelity import FAULTS
from kollama2.locale import LANGUAGES
from kollama2.reporting import facts
from kollama2.reporting.anchors import reproduced
from kollama2.reporting.board import Estimate, Leaderboard
from kollama2.reporting.cautions import flag_text
from kollama2.reporting.contrast import contrasts
from kollama2.reporting.items import Browsed, browsed
from kollama2.reporting.preferences import files
from kollama2.reporting.study import Study, load
from kollama2.reporting.table import rank
from kollama2.reporting.terminal import answered, quantity
from kollama2.reporting.texts import measure_title, say, texts

if TYPE_CHECKING:  # Altair takes half a second to import; a page that is up to date needs none
    from kollama2.reporting.spec import Chart

HERE = Path(__file__).parent
SCRIPTS = ("report.js", "items.js")
SECTIONS = (
    ("leaderboard", "board.title"),
    ("gain", "forest.title"),
    ("curves", "curves.title"),
    ("measures", "measures.title"),
    ("samples", "samples.title"),
    ("items", "items.title"),
    ("ran", "ran.title"),
)


def write_report(store_root: Path, study: str, out: Path) -> Path:
    """Write `report.html` and `leaderboard.json` of a study.

    Args:
        store_root: the folder of the store; nothing in it is changed.
        study: the study's name.
        out: the folder to write into; it is made if needed.

    Returns:
        The path of the page, which is left alone if the same records made it.

    Raises:
        BadUsage: the store knows no such study.
        Corrupt: a record cannot be read.
        TryLater, Denied, StorageTrouble: the folder cannot be written.
    """
    found = load(store_root, study)
    page, board_file = out / "report.html", out / "leaderboard.json"
    with storage(out):
        if _up_to_date(page, board_file, found):
            return page
    compared = contrasts(found)
    board = rank(found, compared)
    from kollama2.reporting.charts import charts

    text = render(found, board, charts(found, board, compared))
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        _replace(board_file, board.to_json())
        _replace(page, text)
    return page


def render(study: Study, board: Leaderboard, drawn: "Mapping[str, list[Chart]]") -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    # Our own files are not escaped; whatever comes from a store is, by the templates.
    scripts = {
        "early": (HERE / "early.js").read_text(encoding="utf-8"),
        "bundle": _bundle(),
        "js": "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
    }
    recipes = [row.recipe for row in sorted(board.rows, key=lambda row: not row.base)]
    samples, prompts, seed = facts.sample_answers(study, recipes)
    items = browsed(study, recipes)
    environment.globals.update(
        {
            "say": say,
            "quantity": quantity,
            "visible": visible,
            "duration": facts.duration,
            "flag_text": flag_text,
            "ends": _ends,
            "amount": lambda value, unit=True: _amount(value, board.primary_in_bits, unit),
        }
    )
    return environment.get_template("report.html.j2").render(
        board=board,
        fingerprint=fingerprint(study, board.to_json()),
        headline=_pairs(board.headline),
        warnings=_pairs(board.warnings),
        sections=[one for one in SECTIONS if _has(one[0], drawn, items)],
        charts=drawn,
        anchored=list(zip(reproduced(study), drawn["anchored"], strict=True)),
        titles={
            name: tuple(measure_title(name, language) for language in LANGUAGES)
            for name in board.measures
        },
        kinds={one.name: _kind(one) for one in drawn["curves"]},
        states={recipe: facts.missing_states(study, recipe) for recipe in study.recipes},
        limit=f"{board.english_limit:g}",
        prompted=_prompted(board),
        unscored=any(row.trust.unscorable for row in board.rows),
        spoken=answered(board.measures),
        primary_task=board.primary.partition("/")[0],
        samples=samples,
        sample_total=prompts,
        sample_seed=seed,
        items=items,
        # The two best beside each other, or what there is.
        items_a=min(1, len(recipes) - 1),
        items_b=min(2, len(recipes) - 1),
        costs=facts.costs(study, board),
        encodings=facts.encodings(study),
        suites=facts.suites(study),
        versions=facts.versions(study),
        cells=study.cells,
        yaml=visible(study.lock.yaml),
        lock=visible(_lock(study)),
        hashes=" ".join(_hash(text) for text in scripts.values()),
        css=Markup((HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704
        data=Markup(_data(drawn, items)),  # noqa: S704
        **{name: Markup(text) for name, text in scripts.items()},  # noqa: S704
    )


def fingerprint(study: Study, board: str) -> str:
    """What a page stands for: lock, records, cells' states, votes, this code, the leaderboard."""
    digest = hashlib.sha256(board.encode("utf-8", errors="replace"))
    for folder in (HERE, HERE.parent / "evaluation", HERE.parent / "records"):
        for file in sorted(folder.iterdir()):
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
    for file in files(study):
        digest.update(file.read_bytes() if file.is_file() else b"-")
    records = {name: stage.record.plain() for name, stage in study.stages.items()}
    states = [cell.state for cell in study.cells]
    digest.update(json.dumps([study.lock.plain(), records, states], sort_keys=True).encode())
    return digest.hexdigest()


def _up_to_date(page: Path, board: Path, study: Study) -> bool:
    if not page.is_file() or not board.is_file():
        return False
    with page.open("rb") as file:
        head = file.read(4096)
    told = fingerprint(study, board.read_text(encoding="utf-8", errors="replace"))
    return f'content="{told}"'.encode() in head


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the installed package."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub is wrong
    assert "</script" not in bundle.lower(), "the bundle must not end the script that holds it"
    return bundle


def _has(section: str, drawn: "Mapping[str, list[Chart]]", items: Browsed) -> bool:
    """Whether the page has anything to show in a section."""
    if section == "items":
        return bool(items.tasks)
    return section != "gain" or bool(drawn["forest"])


def _prompted(board: Leaderboard) -> list[str]:
    """The measures whose range over prompts is shown: one for each task, the first it has."""
    measures = dict.fromkeys(name for row in board.rows for name in row.trust.prompts)
    first: dict[str, str] = {}
    for name in measures:
        first.setdefault(name.partition("/")[0], name)
    return list(first.values())


def _data(drawn: "Mapping[str, list[Chart]]", items: Browsed) -> str:
    """Charts and texts for the page's script, as JSON that no content can break out of."""
    wanted = (
        "axis.",
        "tip.",
        "samples.filter",
        "page.contents",
        "ran.",
        "measures.table",
        "trust.title",
        "items.",
        *(f"measure.{fault}" for fault in FAULTS),
    )
    value = {
        "charts": {one.name: one.spec for section in drawn.values() for one in section},
        "items": {"recipes": items.recipes, "tasks": items.tasks},
        "texts": {key: both for key, both in texts().items() if key.startswith(wanted)},
    }
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _kind(chart: "Chart") -> tuple[str, ...]:
    kind = chart.name.partition("-")[2]
    known = texts().get(f"kind.{kind}")
    return tuple(known[language] if known else kind for language in LANGUAGES)


def _pairs(sentences: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Each sentence in every language."""
    return list(zip(*(sentences[language] for language in LANGUAGES), strict=True))


def _amount(value: float, percent: bool, unit: bool) -> str:
    if math.isnan(value):  # too few items to say
        return "–"
    text = f"{value + 0.0:.1f}" if percent else f"{value + 0.0:.3f}"
    text = text.lstrip("-") if not text.strip("-0.") else text
    return f"{text}%" if percent and unit else text


def _ends(estimate: Estimate, digits: str, by: float = 1.0) -> str:
    """The interval of an estimate, or nothing where there are too few items for one."""
    if math.isnan(estimate.low):
        return ""
    return f"[{digits % (by * estimate.low + 0.0)}, {digits % (by * estimate.high + 0.0)}]"


def _lock(study: Study) -> str:
    shown = study.lock.model_dump(exclude={"yaml"}, exclude_unset=True)
    return json.dumps(shown, ensure_ascii=False, indent=1)


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never a half."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(text.encode("utf-8", errors="replace"))
    beside.replace(path)
