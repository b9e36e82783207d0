"""What `data clean` and `data stats` show, and the texts of suites that no corpus may hold."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from kollama2.locale import say

if TYPE_CHECKING:
    from rich.console import Console

    from kollama2.data.clean import Cleaned
    from kollama2.data.languages import LanguageShares
    from kollama2.evaluation.contamination import HeldOut

# Languages under this share are one line.
_LEAST_SHARE = 0.0001


def held_out(names: list[str], store: Path, mirrors: Path | None) -> "HeldOut":
    """What no corpus may hold, by the rule that a study's contamination check follows.

    Args:
        names: suites by name or YAML file.
        store: where their data are kept.
        mirrors: a mirrors file.

    Raises:
        BadUsage: no such suite.
        BadData: its data cannot be read.
    """
    from kollama2.api.compute import compute, machine, under
    from kollama2.cli.console import talk
    from kollama2.cli.display import Display
    from kollama2.engine.hub import load_mirrors
    from kollama2.evaluation.contamination import HeldOut, wanted
    from kollama2.evaluation.items import suite_items
    from kollama2.stages.source import content
    from kollama2.study.cells import resolve_suite
    from kollama2.study.locate import Locator

    locator = Locator(Path.cwd(), load_mirrors(mirrors), store / "hashes.json")
    rows = {}
    for name in names:
        suite, data = resolve_suite(name, locator)
        with Display(talk()) as display:
            sources, label = list(data.values()), under(f"suite {name}")
            folders = compute(sources, store, machine(None), label, display)
        places = dict(zip(data, map(content, folders), strict=True))
        items = suite_items(suite.resolved(places.__getitem__))
        rows.update({f"{name} {task}": each for task, each in wanted(items).items()})
    locator.save()
    return HeldOut(rows)


def render_cleaned(found: "Cleaned", out: Path, console: "Console") -> None:
    """Print what a cleaning kept, rejected and changed."""
    table = Table.grid(padding=(0, 2))

    def row(title: str, text: str) -> None:
        table.add_row(title and f"[bold]{title}[/bold]", text)

    total, kept, rejected = found.documents_in, found.kept, found.rejected
    counts = say(
        "{total} = {kept} kept + {rejected} rejected", total=total, kept=kept, rejected=rejected
    )
    row(say("Documents"), counts)
    row(
        say("Bytes"),
        say(
            "{kept} of {total} kept, {share:.1%} of them Hangul",
            kept=found.bytes_kept, total=found.bytes_in, share=found.hangul_share,
        ),
    )  # fmt: skip
    looked, short = found.held_out
    if looked or short:
        texts = say("{looked:text} looked for, {short} too short", looked=looked, short=short)
        row(say("Held out"), texts)
    for title, each in ((say("Rejected"), found.reasons), (say("Changed"), found.changes)):
        for number, (what, n) in enumerate(each.items()):
            row(title if not number else "", f"{n:,} {escape(what)}")
    console.print(table)
    console.print(say("the corpus is {file}", file=escape(str(out / "corpus.jsonl"))))


def render_languages(found: list["LanguageShares"], console: "Console") -> None:
    """Print a corpus's languages by bytes, most first; what is under 0.01 % is one line."""
    for one in found:
        share = one.hangul_bytes / max(one.bytes, 1)
        parts = [
            say("{count:document}", count=one.documents),
            *([say("{count:row} not readable", count=one.rejected)] if one.rejected else ()),
            say("{size:byte}, {share:.2%} of them Hangul", size=one.bytes, share=share),
        ]
        console.print(f"[bold]{escape(one.path)}[/bold]: {', '.join(parts)}")
        table, rest = Table(say("language"), say("bytes"), say("share")), 0
        for language, size in one.languages.items():
            share = one.share(language)
            if share < _LEAST_SHARE and language != "ko":
                rest += size
            else:
                table.add_row(language, f"{size:,}", f"{share:.2%}")
        if rest:
            table.add_row(say("others"), f"{rest:,}", f"{rest / one.bytes:.2%}")
        console.print(table)
