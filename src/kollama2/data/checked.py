"""What a check of training data found, and how it looks on a terminal."""

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

COMPOSED = "composed to NFC"
_BAR = 40
_REASONS = 20
_EXAMPLE_CHARACTERS = 1500


class Reason(BaseModel):
    """Why rows were rejected: how many, and the first of them as `file:line`."""

    reason: str
    rows: int
    first: list[str]


class Lengths(BaseModel):
    """Lengths of the kept rows; `bars` are (at least, below, rows) in powers of two."""

    p50: int
    p95: int
    max: int
    bars: list[tuple[int, int, int]]


class Span(BaseModel):
    """A stretch of an encoded example: its text, whether it is learned, whether it is a token."""

    text: str
    learned: bool
    control: bool = False


class Checked(BaseModel):
    """What `check` found. Rows in = kept + rejected; shares are between 0 and 1.

    Attributes:
        path: the file or folder.
        kinds: files by "format, form".
        rows_in: physical rows.
        kept: rows that can be used; duplicates are among them.
        rejected: rows that cannot.
        reasons: why, most frequent first.
        changed: rows that were changed, by what was done.
        unused: rows that say something in a column that is not read, by column.
        nfd: rows that were not NFC.
        duplicates: rows that repeat an earlier one exactly.
        hangul_share: Hangul of every kind among all letters.
        turns: mean messages of a chat, 0 where there are no chats.
        characters: lengths in characters.
        tokens: lengths in tokens with the template, of at most 2,000 rows; None without tokenizer.
        estimated_tokens: tokens of all kept rows.
        tokenizer: which file the tokenizer is.
        template: the chat template; empty without tokenizer.
        sampled: rows that were encoded.
        refused: those of them that the template cannot write, and why; training rejects these.
        example: one row as it is trained on.
    """

    path: str
    kinds: dict[str, int]
    rows_in: int
    kept: int
    rejected: int
    reasons: list[Reason]
    changed: dict[str, int]
    unused: dict[str, int] = {}
    nfd: int
    duplicates: int
    hangul_share: float
    turns: float
    characters: Lengths
    tokens: Lengths | None = None
    estimated_tokens: int | None = None
    tokenizer: str | None = None
    template: str = ""
    sampled: int = 0
    refused: list[Reason] = []
    example: list[Span] = []


def render(found: Checked, console: Console) -> None:
    """Print what was found; without colour, ⟦ ⟧ stand around what is learned."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        facts.add_row(f"[bold]{name}[/bold]", escape(value))
    console.print(f"[bold]{escape(found.path)}[/bold]")
    console.print(facts)
    _print_reasons(console, "Rejected rows", found.reasons)
    title = f"Of {found.sampled:,} rows, the template {found.template} cannot write"
    _print_reasons(console, title, found.refused)
    for title, lengths in (("characters", found.characters), ("tokens", found.tokens)):
        if lengths is not None:
            _print_lengths(console, title, lengths)
    if found.example:
        colour = console.color_system is not None and not console.no_color
        legend = "[green]learned[/green], [dim]context[/dim]" if colour else "⟦learned⟧, context"
        console.print(f"\n[bold]One row with the template {found.template}[/bold] ({legend})")
        console.print(_example(found.example, colour))


def _print_reasons(console: Console, title: str, reasons: list[Reason]) -> None:
    if not reasons:
        return
    console.print(f"\n[bold]{escape(title)}[/bold]")
    table = Table.grid(padding=(0, 2))
    for one in reasons[:_REASONS]:
        places = ", ".join(one.first) + (", …" if one.rows > len(one.first) else "")
        table.add_row(f"{one.rows:>8,}", escape(one.reason), f"[dim]{escape(places)}[/dim]")
    if rest := reasons[_REASONS:]:
        rows = sum(one.rows for one in rest)
        table.add_row(f"{rows:>8,}", f"for {len(rest):,} other reasons; --json has them all")
    console.print(table)


def _facts(found: Checked) -> list[tuple[str, str]]:
    kinds = "; ".join(f"{kind} ({n} files)" if n > 1 else kind for kind, n in found.kinds.items())
    rows = f"{found.rows_in:,} = {found.kept:,} kept + {found.rejected:,} rejected"
    facts = [("Format, form", kinds), ("Rows", rows)]
    if found.turns:
        facts.append(("Turns", f"{found.turns:.1f} a chat"))
    facts += [
        ("Hangul", f"{found.hangul_share:.1%} of letters"),
        ("Duplicates", f"{found.duplicates:,}"),
        ("Not NFC", f"{found.nfd:,}"),
    ]
    # The rows that were not NFC have a line of their own above.
    changed = [one for one in found.changed.items() if one[0] != COMPOSED]
    facts += [(what[0].upper() + what[1:], f"{n:,}") for what, n in changed]
    if found.unused:
        unused = ", ".join(f"{column} ({n:,})" for column, n in found.unused.items())
        facts.append(("Columns not used", unused))
    if found.estimated_tokens is not None:
        facts.append(("Tokens", f"{found.estimated_tokens:,} in all ({found.tokenizer})"))
    return facts


def _print_lengths(console: Console, title: str, lengths: Lengths) -> None:
    spread = f"median {lengths.p50:,}, 95 % below {lengths.p95 + 1:,}, longest {lengths.max:,}"
    console.print(f"\n[bold]Length in {title}[/bold]  {spread}")
    most = max(rows for _, _, rows in lengths.bars)
    for low, high, rows in lengths.bars:
        bar = "█" * -(-rows * _BAR // most)
        console.print(f"  {low:>9,} – {high - 1:<9,} {rows:>9,} [cyan]{bar}[/cyan]")


def _example(spans: list[Span], colour: bool) -> Text:
    text, left = Text(), _EXAMPLE_CHARACTERS
    for number, span in enumerate(spans):
        cut = len(span.text) > left
        shown = span.text[:left] + " … " if cut else span.text
        left -= len(shown)
        style = "green" if span.learned else "dim"
        opens = span.learned and (number == 0 or not spans[number - 1].learned)
        last = cut or number + 1 == len(spans)
        closes = span.learned and (last or not spans[number + 1].learned)
        if not colour:
            shown = "⟦" * opens + shown + "⟧" * closes
        text.append(shown, style=f"{style} bold" if span.control else style)
        if cut:
            break
    return text
