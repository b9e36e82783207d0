"""Standings: scores and comparisons of models as tables for people and rows for programs."""

import math
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from kollama2.evaluation.compare import Compared
from kollama2.evaluation.inference import FEWEST
from kollama2.evaluation.statistics import turned
from kollama2.records.done import Evaluation
from kollama2.records.measures import measure
from kollama2.reporting.texts import Count


def rows(found: Compared) -> list[dict[str, Any]]:
    """One row a measure and model; what is unknown or not told is None."""
    return [
        {
            "measure": name,
            "model": one.name,
            "score": one.score,
            "low": one.low,
            "high": one.high,
            "difference": versus.value if versus else None,
            "difference_low": versus.low if versus else None,
            "difference_high": versus.high if versus else None,
            "p_adjusted": versus.p_adjusted if versus else None,
            "mde": versus.mde if versus else None,
            "separable": versus.separable if versus else None,
            "p_best": one.p_best,
            "rank_low": one.rank_low,
            "rank_high": one.rank_high,
            "tier": one.tier,
        }
        for name, comparison in found.comparisons.items()
        for one in comparison.standings
        for versus in [one.versus_base]
    ]


def scores(metrics: Evaluation) -> Table:
    """The scores of one model, a measure a line."""
    table = Table("measure", "score", "by prompt", "unit", "better")
    for name, value in metrics.scores.items():
        about = measure(name, metrics.measures)
        spread = metrics.by_prompt.get(name)
        told = f"{min(spread):.3f}–{max(spread):.3f}" if spread else ""
        table.add_row(name, f"{value:.3f}", told, about.unit, about.better)
    return table


def remarks(model: str, metrics: Evaluation) -> list[str]:
    """What a reader of the scores must know: items left out, failures, degenerate answers."""
    lines = []
    for task, counts in metrics.counts.items():
        told = [
            f"{count} of {counts.items} {words}"
            for count, words in (
                (counts.truncated, "items do not fit the model and are left out"),
                (counts.failed, "answers are empty or broken and count as failures"),
            )
            if count
        ]
        told += metrics.flags.get(task, [])
        lines += [f"{model}, {task}: {one}" for one in told]
    return lines


def tables(found: Compared) -> list[RenderableType]:
    """A table for each measure, what to doubt, and what each model is."""
    lines: list[RenderableType] = []
    for number, (name, one) in enumerate(found.comparisons.items()):
        about = found.measures[name]
        table = Table(
            "model", "score", f"− {found.base}", "95 %", "p (adjusted)", "MDE", "P(best)",
            "rank", "tier",
            title=f"{name}: {about.title}, {about.unit}, {about.better} is better",
            title_justify="left",
        )  # fmt: skip
        for row in one.standings:
            versus = row.versus_base
            table.add_row(
                row.name,
                f"{row.score:.4f}",
                "" if versus is None else f"{versus.value:+.4f}",
                "" if versus is None else _interval(versus.low, versus.high),
                ""
                if versus is None
                else _known(versus.p_adjusted, ".2g") + ("*" if versus.separable else ""),
                "" if versus is None else _known(versus.mde or math.nan, ".4f"),
                "–" if row.p_best is None else f"{row.p_best:.2f}",
                "–" if row.rank_low is None else f"{row.rank_low}–{row.rank_high}",
                row.tier,
            )
        lines.append(table)
        if number == 0:
            kind = "item uncertainty only" if one.uncertainty == "items only" else "items and seeds"
            lines.append(
                f"suite {found.suite}; {kind}; {Count(one.items):item} in "
                f"{Count(one.clusters):cluster}; {one.resamples:,} draws; models that share a "
                "letter are not separable; MDE: the least true difference that would "
                "be found with a probability of 80 %"
            )
    few = [name for name, one in found.comparisons.items() if one.clusters < FEWEST]
    if few:
        lines.append(
            f"fewer than {FEWEST} independent items are too few for intervals and a verdict: "
            + ", ".join(few)
        )
    lines += [line for name in found.comparisons for line in _doubts(found, name)]
    if found.undirected:
        names = ", ".join(found.undirected)
        lines.append(f"not compared, since nobody declares which direction is better: {names}")
    lines.append(_columns(found))
    for name, model in found.models.items():
        lines += remarks(name, model.metrics)
    return lines


def _known(value: float, digits: str) -> str:
    return "–" if math.isnan(value) else format(value, digits)


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else rf"\[{low:+.4f}, {high:+.4f}]"


def _doubts(found: Compared, name: str) -> list[str]:
    """Which scores of a measure are no better than guessing, and which order the prompt decides."""
    comparison = found.comparisons[name]
    guessed = [
        row.name
        for row in comparison.standings
        if row.low <= found.models[row.name].metrics.chance.get(name, math.inf) <= row.high
    ]
    lines = []
    if guessed:
        lines.append(f"{name}: not separable from guessing: {', '.join(guessed)}")
    prompts = {
        row.name: scores
        for row in comparison.standings
        if (scores := found.models[row.name].metrics.by_prompt.get(name))
    }
    if pairs := turned(comparison.pairs, prompts):
        both = ", ".join(f"{pair.left} and {pair.right}" for pair in pairs)
        lines.append(f"{name}: separable, but the other way round under one of the prompts: {both}")
    return lines


def _columns(found: Compared) -> Table:
    """What each model is: size, how its tokenizer cuts, what measuring it took."""
    table = Table(
        "model", "parameters", "bytes/token ko", "en", "characters of Korean in context", "seconds"
    )
    for name, model in found.models.items():
        metrics = model.metrics
        ko, en = metrics.tokenizer.get("ko"), metrics.tokenizer.get("en")
        size, seconds = metrics.parameters, metrics.seconds
        table.add_row(
            name,
            f"{size / 1e6:,.1f} M" if size else "",
            f"{ko.bytes_per_token:.2f}" if ko else "",
            f"{en.bytes_per_token:.2f}" if en else "",
            f"{ko.context_characters:,.0f}" if ko else "",
            f"{sum(seconds.values()):,.0f}" if seconds else "",
        )
    return table
