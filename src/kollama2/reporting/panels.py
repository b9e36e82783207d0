"""Small panels: one for each measure, all with the same spec and a scale of their own."""

from collections.abc import Iterable, Sequence

import altair as alt

from kollama2.evaluation.contrast import Contrast
from kollama2.reporting import spec
from kollama2.reporting.anchors import Reproduced
from kollama2.reporting.spec import AXES, Chart, Spec

ROW = 22  # pixels of a recipe


def panels(contrasts: Iterable[Contrast], order: Sequence[str]) -> list[Chart]:
    """Small panels: every recipe's score on one measure, the base as a line.

    All panels have the same spec, since ends and order come from the data; Altair makes it once.
    """
    shared = _panel(order, anchors=False)
    found = []
    for contrast in contrasts:
        name = "measure-" + contrast.measure.replace("/", "-").replace(":", "-")
        data = {"values": _scores(contrast, order)}
        height = len(data["values"]) * ROW
        panel = {**shared, "data": data, "height": height}
        found.append(Chart(name, height + AXES, panel, contrast.measure))
    return found


def anchored(aggregates: Iterable[Reproduced], order: Sequence[str], base: str) -> list[Chart]:
    """Panels of lm-eval's own aggregates, with published figures as grey lines."""
    shared = _panel(order, anchors=True)
    found = []
    for one in aggregates:
        values: list[Spec] = []
        for recipe in order:
            if recipe in one.scores:
                score = spec.short(one.scores[recipe])
                values.append({"recipe": recipe, "score": score, "low": score, "high": score,
                               "interval": "–", "base": recipe == base})  # fmt: skip
        height = len(values) * ROW
        # An anchor is no row of its own: it stands on the row of the first recipe.
        values += [
            {"recipe": values[0]["recipe"], "anchor": anchor.model, "score": anchor.value}
            for anchor in one.anchors
        ]
        panel = {**shared, "data": {"values": values}, "height": height}
        name = f"anchored-{one.task}-{one.shots}-{one.metric}".replace(",", "-")
        found.append(Chart(name, height + AXES, panel))
    return found


def _panel(order: Sequence[str], *, anchors: bool) -> Spec:
    options: Spec = {
        "title": None,
        "scale": alt.Scale(zero=False, nice=False, padding=12),
        "axis": alt.Axis(tickCount=4),
    }
    tips = [
        spec.tip("recipe"),
        spec.tip("score", ".4f"),
        alt.Tooltip("interval:N", title="@tip.interval"),
    ]
    rows = alt.Chart().transform_filter("!datum.anchor") if anchors else alt.Chart()
    base = rows.encode(y=spec.names(), color=spec.color(order), tooltip=tips)
    score = alt.X("score:Q", **options)
    rule = alt.Chart().transform_filter("datum.base").mark_rule(style="zero").encode(x=score)
    line = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", **options), x2="high:Q")
    dot = base.mark_point(size=60, filled=True, opacity=1).encode(x=score)
    layers = [rule, line, dot]
    if anchors:
        shown = [alt.Tooltip("anchor:N", title="@tip.anchor"), spec.tip("score", ".3f")]
        mark = alt.Chart().transform_filter("datum.anchor").mark_rule(style="anchor")
        layers.insert(0, mark.encode(x=score, tooltip=shown))
    return spec.chart("panel", alt.layer(*layers), [], ROW).spec


def _scores(contrast: Contrast, order: Sequence[str]) -> list[Spec]:
    data: list[Spec] = []
    for recipe in order:
        if recipe not in contrast.scores:
            continue
        score = contrast.scores[recipe]
        place = contrast.comparison[recipe] if contrast.comparison else None
        low, high = (place.low, place.high) if place else (score, score)
        data.append(
            {
                "recipe": recipe,
                "score": spec.short(score),
                "low": spec.short(low),
                "high": spec.short(high),
                "interval": spec.interval(low, high, ".3f"),
                "base": bool(contrast.comparison and recipe == contrast.comparison.base),
            }
        )
    return data
