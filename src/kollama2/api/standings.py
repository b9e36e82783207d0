"""Standings: scores and comparisons of models as tables for people and rows for programs."""

import math
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from kollama2.evaluation.compare import Compared
from kollama2.evaluation.inference import FEWEST
from kollama2.evaluation.statistics import turned
from kollama2.locale import chosen, mark, say
from kollama2.records.done import Evaluation
from kollama2.records.measures import Measure, measure
from kollama2.reporting.cautions import flag_text
from kollama2.reporting.texts import measure_title

_DIRECTIONS = {
    mark("higher"): mark("higher is better"),
    mark("lower"): mark("lower is better"),
    mark("unknown"): mark("which direction is better is unknown"),
}


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
    heads = say("measure"), say("score"), say("by prompt"), say("unit"), say("better")
    table = Table(*heads)
    for name, value in metrics.scores.items():
        about = measure(name, metrics.measures)
        spread = metrics.by_prompt.get(name)
        told = f"{min(spread):.3f}–{max(spread):.3f}" if spread else ""
        table.add_row(name, f"{value:.3f}", told, about.unit, say(about.better))
    return table


def remarks(model: str, metrics: Evaluation) -> list[str]:
    """What a reader of the scores must know: items left out, failures, degenerate answers."""
    lines = []
    for task, counts in metrics.counts.items():
        told, values = [], {"total": counts.items}
        if count := counts.truncated:
            told.append(
                say(
                    "{count} of {total:item} do not fit the model and are left out",
                    count=count,
                    **values,
                )
            )
        if count := counts.failed:
            told.append(
                say(
                    "{count} of {total:answer} are empty or broken and count as failures",
                    count=count,
                    **values,
                )
            )
        told += [flag_text(flag)[chosen()] for flag in metrics.flags.get(task, [])]
        lines += [f"{model}, {task}: {one}" for one in told]
    return lines


def tables(found: Compared) -> list[RenderableType]:
    """A table for each measure, what to doubt, and what each model is."""
    lines: list[RenderableType] = []
    for number, (name, one) in enumerate(found.comparisons.items()):
        about = found.measures[name]
        table = Table(
            say("model"), say("score"), f"− {found.base}", "95 %", say("p (adjusted)"), "MDE",
            "P(best)", say("rank"), say("tier"),
            title=_title(name, about),
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
            only = one.uncertainty == "items only"
            lines.append(
                say(
                    "suite {suite}; {uncertainty}; {items:item} in {clusters:cluster}; "
                    "{draws:draw}; models that share a letter are not separable; MDE: the least "
                    "true difference that would be found with a probability of 80 %",
                    suite=found.suite,
                    items=one.items,
                    clusters=one.clusters,
                    uncertainty=say("item uncertainty only") if only else say("items and seeds"),
                    draws=one.resamples,
                )
            )
    few = [name for name, one in found.comparisons.items() if one.clusters < FEWEST]
    if few:
        lines.append(
            say(
                "fewer than {fewest} independent items are too few for intervals and a verdict: "
                "{measures}",
                fewest=FEWEST,
                measures=", ".join(few),
            )
        )
    lines += [line for name in found.comparisons for line in _doubts(found, name)]
    if found.undirected:
        names = ", ".join(found.undirected)
        lines.append(
            say(
                "not compared, since nobody declares which direction is better: {measures}",
                measures=names,
            )
        )
    lines.append(_columns(found))
    for name, model in found.models.items():
        lines += remarks(name, model.metrics)
    return lines


def _title(name: str, about: Measure) -> str:
    """What a measure is, and which scores are better."""
    title = measure_title(name, "ko") if chosen() == "ko" else about.title
    return f"{name}: {title}, {about.unit}, {say(_DIRECTIONS[about.better])}"


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
        models = ", ".join(guessed)
        lines.append(
            say("{measure}: not separable from guessing: {models}", measure=name, models=models)
        )
    prompts = {
        row.name: scores
        for row in comparison.standings
        if (scores := found.models[row.name].metrics.by_prompt.get(name))
    }
    if pairs := turned(comparison.pairs, prompts):
        both = ", ".join(f"{pair.left} – {pair.right}" for pair in pairs)
        lines.append(
            say(
                "{measure}: separable, but the other way round under one of the prompts: {pairs}",
                measure=name,
                pairs=both,
            )
        )
    return lines


def _columns(found: Compared) -> Table:
    """What each model is: size, how its tokenizer cuts, what measuring it took."""
    table = Table(
        say("model"), say("parameters"), say("bytes/token ko"), "en",
        say("characters of Korean in context"), say("seconds"),
    )  # fmt: skip
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
