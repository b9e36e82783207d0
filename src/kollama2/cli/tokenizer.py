"""`kollama2 tokenizer`: what a tokenizer spends on Korean, and larger and smaller ones."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kollama2.cli.console import JsonOption, MirrorsOption, out, print_json, talk
from kollama2.locale import say
from kollama2.model.files import FAST, PIECES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from kollama2.vocab.fertility import Fertility

    _Settings = TypeVar("_Settings", bound=BaseModel)

app = typer.Typer(help="Measure tokenizers on Korean; expand and prune them.", no_args_is_help=True)

_KOREAN = 0.2  # share of Hangul in the Korean side of a pair, at least
CorpusOption = Annotated[
    list[Path] | None,
    typer.Option(help="Korean text, or pairs (default: the miniature's pairs). Repeatable."),
]


@app.callback()
def _group() -> None:
    """Measure tokenizers on Korean; expand and prune them."""


@app.command()
def report(
    tokenizers: Annotated[
        list[str],
        typer.Argument(help=f"Model folders, {PIECES}, {FAST}, GGUF files, hf: ids; one row each."),
    ],
    corpus: CorpusOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Plot fertility against vocabulary size to FILE.svg, .png or .html."),
    ] = None,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what tokenizers spend on Korean.

    The table shows tokens, bytes, the premium over English, the context window and speed.

    The premium needs English too (pairs, or FILE.ko beside FILE.en). A tokenizer that cannot be
    read is reported and left out.
    """
    from dataclasses import asdict

    from kollama2.engine.hub import load_mirrors
    from kollama2.errors import BadData, BadUsage, Fault
    from kollama2.model.files import TOKENIZER_FILES
    from kollama2.model.find import find_place
    from kollama2.vocab.fertility import fertility

    if plot is not None and plot.suffix not in (".svg", ".png", ".html"):
        raise BadUsage(f"{plot} is no picture that can be drawn; name it .svg, .png or .html")
    korean, english = _pairs(corpus)
    copies = load_mirrors(mirrors)

    def refused(name: str, fault: Fault) -> None:
        talk().print(say("{name}: left out: {why}", name=name, why=fault), markup=False)

    found = fertility(
        tokenizers,
        korean,
        english,
        find=lambda name: find_place(name, copies, TOKENIZER_FILES),
        refused=refused,
    )
    if not found:
        raise BadData(say("none of the tokenizers can be read; the reasons stand above"))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        out().print(_table(found))
    if plot is not None:
        _draw(found, plot)
        talk().print(say("{file}: fertility against vocabulary size", file=plot))


@app.command()
def expand(
    folder: Annotated[Path, typer.Argument(help="Folder with the tokenizer to expand.")],
    corpus: Annotated[list[Path], typer.Option(help="Korean text to learn from. Repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the new tokenizer.")],
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of new pieces (default: the procedure's)."),
    ] = None,
    procedure: Annotated[
        str,
        typer.Option(help="hangul-append, or a published one: chinese-llama2, llama2-ko, eeve."),
    ] = "hangul-append",
    syllables: Annotated[
        bool, typer.Option(help="Start with the 2,350 syllables of KS X 1001.")
    ] = True,
    min_count: Annotated[
        int,
        typer.Option(
            min=0, help="Add only syllables that occur at least this often in the corpus."
        ),
    ] = 0,
    endings: Annotated[
        bool,
        typer.Option("--endings", help="Let pieces end in a full stop or comma, such as `다.`."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add Hangul pieces to a tokenizer.

    An audit proves that nothing else changes and that all runtimes agree.
    """
    from kollama2.api.places import check_new
    from kollama2.engine.commit import committing
    from kollama2.model.gguf.convert import as_folder
    from kollama2.vocab.expand import expand as grow
    from kollama2.vocab.settings import VocabSettings

    fields = {"size": size, "procedure": procedure, "syllables": syllables}
    settings = _checked(VocabSettings, {**fields, "min_count": min_count, "endings": endings})
    check_new(output)
    folder = as_folder(folder, talk().print)
    with committing(output) as partial:
        found = grow(folder, partial, _texts(corpus), settings)
    if as_json:
        print_json(found)
        return
    audit = found["audit"]
    others = found["size"] - found["first"] - found["new"]
    counts = {"output": output, "new": found["new"], "old": found["first"], "others": others}
    counts |= {"total": found["size"]}
    if not others:
        told = say("{output}: {new:new piece} behind {old}, {total} in all", **counts)
    elif found["reserve"]:
        told = say(
            "{output}: {new:new piece} behind {old} and {others} reserved, {total} in all", **counts
        )
    else:
        told = say(
            "{output}: {new:new piece} behind {old} and {others} on the way to them, {total} in "
            "all",
            **counts,
        )
    out().print(told)
    agree = audit["korean"] - max(audit["disagreeing"].values())
    out().print(
        say(
            "audit: {changed} of {unchanged} lines without Hangul changed, {dead:dead piece}, "
            "{lost:line} lost, runtimes agree on {agree} of {korean} lines",
            changed=audit["changed"], unchanged=audit["unchanged"], dead=len(audit["dead"]),
            lost=audit["lost"], agree=agree, korean=audit["korean"],
        )
    )  # fmt: skip
    for fault in audit["faults"]:
        talk().print(say("as its model does: {fault}", fault=fault))


@app.command()
def prune(
    folder: Annotated[Path, typer.Argument(help="Folder with the tokenizer to prune.")],
    keep: Annotated[
        list[str], typer.Option(help="Language whose scripts to keep: ko, en, zh, … Repeatable.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the new tokenizer.")],
    as_json: JsonOption = False,
) -> None:
    """Remove tokens of other scripts from a tokenizer.

    An audit proves that texts in the kept scripts are encoded as before.
    """
    from kollama2.api.places import check_new
    from kollama2.engine.commit import committing
    from kollama2.model.gguf.convert import as_folder
    from kollama2.vocab.prune import prune as shrink
    from kollama2.vocab.settings import PruneSettings

    settings = _checked(PruneSettings, {"keep": keep})
    check_new(output)
    folder = as_folder(folder, talk().print)
    with committing(output) as partial:
        found = shrink(folder, partial, settings)
    if as_json:
        print_json(found)
        return
    size, removed = found["size"], found["removed"]
    out().print(
        say("{output}: {size:token}, {removed} removed", output=output, size=size, removed=removed)
    )
    out().print(
        say(
            "audit: {same} of {lines} lines have the same tokens as before, and all decode as "
            "before",
            same=found["same"], lines=found["lines"],
        )
    )  # fmt: skip


def _checked(settings: "type[_Settings]", fields: dict[str, Any]) -> "_Settings":
    """Settings from options, or a sentence with the option at fault."""
    from pydantic import ValidationError

    from kollama2.errors import BadUsage

    try:
        return settings.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"--{first['loc'][0]}".replace("_", "-")
        raise BadUsage(f"{where}: {first['msg']}, got {first['input']!r}") from error


def _texts(corpus: list[Path]) -> "Iterator[str]":
    """The texts of files; what cannot be read of each is told behind it."""
    from kollama2.data.read import Example, read

    for file in corpus:
        rejects: Counter[str] = Counter()
        for one in read(file):
            if isinstance(one, Example):
                yield from one.texts()
            else:
                rejects[one.reason] += 1
        if rejects:
            (reason, _), *_ = rejects.most_common(1)
            told = {"file": file, "count": rejects.total(), "reason": reason}
            talk().print(say("{file}: {count:row} passed over, most of them: {reason}", **told))


def _pairs(corpus: list[Path] | None) -> tuple[list[str], list[str]]:
    """Korean lines, and English ones where every text has both."""
    import tempfile

    from kollama2.data.read import Example, read
    from kollama2.korean.hangul import share

    korean, english, both = list[str](), list[str](), True
    with tempfile.TemporaryDirectory() as folder:
        if not corpus:
            from kollama2.miniature import corpora

            corpora.write("parallel", Path(folder), seed=0, size=1000)
        for file in corpus or [Path(folder)]:
            beside = file.suffix in (".ko", ".en") and all(
                file.with_suffix(suffix).is_file() for suffix in (".ko", ".en")
            )
            reading = read(file, "pairs" if beside else None)
            examples = [one for one in reading if isinstance(one, Example)]
            lines = [line for one in examples for text in one.texts() for line in text.splitlines()]
            if all(form == "pairs" for _, form in reading.kinds):
                english += [line for line in lines if share(line) <= _KOREAN]
                korean += [line for line in lines if share(line) > _KOREAN]
            else:
                both = False
                korean += lines
    return korean, english if both else []


def _table(found: "list[Fertility]") -> Any:
    from rich.table import Table

    table = Table(
        say("tokenizer"), say("size"), say("Hangul"), say("dead"), say("tokens/eojeol"),
        say("tokens/char"), say("tokens/byte"), say("bytes"), "ko/en", say("4,096 tokens"),
        say("speed"),
    )  # fmt: skip
    for one in found:
        table.add_row(
            one.name,
            f"{one.size:,}",
            f"{one.hangul:,}",
            f"{one.dead:,}",
            f"{one.per_eojeol:.3f}",
            f"{one.per_character:.3f}",
            f"{one.per_byte:.3f}",
            f"{one.byte_share:.1%}",
            "–" if one.premium is None else f"{one.premium:.2f}",
            say("{count:char}", count=one.window),
            f"x{one.speed:.2f}",
        )
    return table


def _draw(found: "list[Fertility]", path: Path) -> None:
    import altair as alt

    rows = [{"tokenizer": one.name, "size": one.size, "fertility": one.per_eojeol} for one in found]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("size:Q", title="vocabulary", scale=alt.Scale(zero=False)),
        y=alt.Y("fertility:Q", title="tokens per eojeol", scale=alt.Scale(zero=True)),
    )
    points = base.mark_circle(size=80).encode(tooltip=["tokenizer:N", "size:Q", "fertility:Q"])
    names = base.mark_text(align="left", dx=8, dy=-8).encode(text="tokenizer:N")
    chart = (points + names).properties(width=560, height=320, title="Fertility on Korean")
    chart.save(str(path), inline=True) if path.suffix == ".html" else chart.save(str(path))
