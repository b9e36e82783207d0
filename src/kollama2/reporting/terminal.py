"""The leaderboard on a terminal: wide where there is room, complete in 80 columns."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kollama2.locale import chosen, say
from kollama2.reporting.board import BoardRow, Estimate, Leaderboard, Strength, Versus

if TYPE_CHECKING:  # rich is light, but a report that is only written needs none of it
    from rich.table import Table

WIDE, WIDEST = 112, 140
SHOWN_WARNINGS = 3
GOOD, BAD, DIM = "green", "red", "dim"


def render_terminal(board: "Leaderboard", width: int = 80) -> "Table":
    """The leaderboard as a table of rich, which is plain text when not printed on a terminal.

    Args:
        board: what `leaderboard` returned.
        width: columns of the terminal; from 112 on, cost and detection limits are shown too, from
            140 on the id of the suite and how many of its items stand in the training data.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDE
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{board.study}: {board.primary}",
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(_notes(board))),
        caption_justify="left",
        caption_style="",
        pad_edge=False,
        padding=(0, 1),
    )
    table.add_column(say("tier"), no_wrap=True)
    table.add_column(say("recipe"), overflow="fold", ratio=None)
    table.add_column(say("score"), justify="right", no_wrap=True)
    gain = say("saved % [95 %]") if board.primary_in_bits else say("gain [95 %]")
    table.add_column(gain, justify="right", no_wrap=True)
    if wide:
        table.add_column("MDE", justify="right", no_wrap=True)
    table.add_column("P(best)", justify="right", no_wrap=True)
    table.add_column(say("English"), justify="right", no_wrap=True)
    if wide:
        for name in ("FLOPs", say("Korean"), say("trainable")):
            table.add_column(name, justify="right", no_wrap=True)
    spoken = answered(board.measures)
    if wide and spoken:
        table.add_column(say("faithful"), justify="right", no_wrap=True)
    for one in board.preferences:
        table.add_column(
            say("people") if one.judge is None else one.judge, justify="right", no_wrap=True
        )
    if width >= WIDEST:
        table.add_column(say("seen"), justify="right", no_wrap=True)
        table.add_column(say("suite"), no_wrap=True)
    for row in board.rows:
        cells = _cells(row, board, wide)
        if wide and spoken:
            score = row.measures.get(spoken)
            cells.append("–" if score is None else f"{100 * score.score:.0f} %")
        cells += [_elo(one.recipes.get(row.recipe)) for one in board.preferences]
        cells += _trust(row) if width >= WIDEST else []
        marked = (Text.from_markup(cell, emoji=False) for cell in cells)
        table.add_row(*marked, style=DIM if row.base else None)
    return table


def answered(measures: Iterable[str]) -> str | None:
    """The measure of how many free answers are Korean; models behind an API have it too."""
    return next((name for name in measures if name.endswith("/fidelity")), None)


def _elo(liked: Strength | None) -> str:
    if liked is None:
        return "–"
    elo = liked.elo
    return escape_brackets(f"{elo.value + 0.0:+.0f} [{elo.low + 0.0:.0f}, {elo.high + 0.0:.0f}]")


def _trust(row: BoardRow) -> list[str]:
    """Items that stand in the training data, and the suite's ids."""
    seen = row.trust.seen
    ids = ", ".join(one for found in row.trust.suites.values() for one in found) or "–"
    if not row.trust.checked:
        return ["?", ids]
    if seen is None:
        return ["–", ids]
    flagged, judged = sum(seen.flagged.values()), sum(seen.judged.values())
    text = f"{flagged}/{judged}"
    return [f"[{BAD}]{text} ![/]" if flagged else text, ids]


def _cells(row: BoardRow, board: Leaderboard, wide: bool) -> list[str]:
    from rich.markup import escape

    name = escape(row.recipe)
    if row.missing:
        total = len(row.missing) + len(row.seeds)
        name += f" [yellow]{say('({done} of {total:cell})', done=len(row.seeds), total=total)}[/]"
    place = row.standing
    versus = place.versus_base if place else None
    cells = [
        (place.tier if place else "") or "–",
        name,
        "–" if row.score is None else f"{row.score:.4f}",
        say("base") if row.base else _gain(row, versus, board.primary_in_bits),
    ]
    if wide:
        cells.append("" if versus is None else _number(versus.mde, board.primary_in_bits))
    cells.append("–" if place is None or place.p_best is None else f"{place.p_best:.2f}")
    cells.append(_english(row))
    if wide:
        cells += [
            quantity(row.cost.flops, ""),
            quantity(row.cost.korean_bytes, "B"),
            quantity(row.cost.trainable_parameters, ""),
        ]
    return cells


def _gain(row: BoardRow, versus: Versus | None, bits: bool) -> str:
    if versus is None:
        # What answers by an API is computed and has no likelihoods.
        return say("not computed") if row.missing else "–"
    text = escape_brackets(_interval(versus.gain, bits))
    if not versus.separable:
        return text
    return f"[{GOOD if versus.gain.value > 0 else BAD}]{text}[/]"


def escape_brackets(text: str) -> str:
    """Keep rich from reading an interval as markup."""
    return text.replace("[", r"\[")


def _interval(estimate: Estimate, bits: bool) -> str:
    low, high = _number(estimate.low, bits), _number(estimate.high, bits)
    return f"{_number(estimate.value, bits)} [{low}, {high}]"


def _number(value: float, bits: bool) -> str:
    if math.isnan(value):  # too few items to say
        return "–"
    text = f"{value:.1f}" if bits else f"{value:.3f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def _english(row: BoardRow) -> str:
    if row.english is None:
        return "–"
    if row.english.change is None:
        return f"{row.english.score:.3f}" if row.base else "–"
    text = f"{row.english.change.value + 0.0:+.1f}%"
    return f"[{BAD}]{text} ![/]" if row.english.flag else text


def quantity(value: float | None, unit: str) -> str:
    """Three digits and an SI prefix: `4.3 T`, `7.50 MB`; beyond peta as a power of ten."""
    if value is None:
        return "–"
    if value >= 1e18:
        return f"{value:.2e} {unit}".strip()
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".strip()


def _notes(board: Leaderboard) -> list[str]:
    warnings = board.warnings[chosen()]
    sentences = [*board.headline[chosen()], *warnings[:SHOWN_WARNINGS]]
    if more := len(warnings[SHOWN_WARNINGS:]):
        sentences.append(say("{count:more warning} in report.html.", count=more))
    return [f"· {text}" for text in sentences]
