"""The charts of a report: gain over the base, Korean against English, curves, measures."""

from collections.abc import Mapping, Sequence

import altair as alt

from kollama2.evaluation.contrast import Contrast
from kollama2.reporting import labels, spec
from kollama2.reporting.anchors import reproduced
from kollama2.reporting.board import BoardRow, Leaderboard
from kollama2.reporting.curves import curves
from kollama2.reporting.panels import anchored, panels
from kollama2.reporting.spec import Chart, Spec
from kollama2.reporting.study import Study
from kollama2.reporting.terminal import quantity

ROW = 30  # pixels of a recipe on the chart of gains, at least


def charts(
    study: Study, board: Leaderboard, contrasts: Mapping[str, Contrast]
) -> dict[str, list[Chart]]:
    """All charts by section; a section may be empty."""
    alt.data_transformers.disable_max_rows()
    order = [row.recipe for row in board.rows]
    placed = [row for row in board.rows if row.standing and row.standing.versus_base]
    traded = [row for row in board.rows if row.english and (row.base or row in placed)]
    return {
        "forest": [_forest(board, placed)] if placed else [],
        "tradeoff": [_tradeoff(board, traded)] if len(traded) > 1 else [],
        "curves": curves(study, order),
        "measures": panels(contrasts.values(), order),
        "anchored": anchored(reproduced(study), order, study.recipes[0]),
    }


def _forest(board: Leaderboard, rows: Sequence[BoardRow]) -> Chart:
    unit = ".1f" if board.primary_in_bits else ".3f"
    data: list[Spec] = []
    for row in rows:
        assert row.standing is not None
        assert row.standing.versus_base is not None
        versus = row.standing.versus_base
        gain = versus.gain
        data.append(
            {
                "recipe": row.recipe,
                "gain": spec.short(gain.value),
                "low": spec.short(gain.low),
                "high": spec.short(gain.high),
                "mde": spec.short(versus.mde),
                "minus": spec.short(-versus.mde),
                "interval": spec.interval(gain.low, gain.high, unit),
                "tier": row.standing.tier,
                "clear": versus.separable,
            }
        )
    height = round(len(rows) * min(52, max(ROW, 300 / len(rows))))
    title = "@axis.saved" if board.primary_in_bits else "@axis.gain"
    base = alt.Chart().encode(
        y=spec.names(),
        tooltip=[
            spec.tip("recipe"),
            spec.tip("gain", unit),
            alt.Tooltip("interval:N", title="@tip.interval"),
            spec.tip("mde", unit),
            spec.tip("tier"),
        ],
    )
    band = base.mark_bar(height=16, opacity=1, style="band").encode(
        x=alt.X("minus:Q", title=title), x2="mde:Q"
    )
    ends = [base.mark_tick(style="mde").encode(x=f"{end}:Q") for end in ("minus", "mde")]
    zero = alt.Chart(alt.Data(values=[{}])).mark_rule(style="zero").encode(x=alt.datum(0))
    line = base.mark_rule(strokeWidth=2.5, style="effect").encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(size=75, filled=True, opacity=1, style="effect").encode(
        x="gain:Q",
        shape=alt.Shape(
            "clear:N",
            legend=None,
            scale=alt.Scale(domain=[True, False], range=["circle", "diamond"]),
        ),
    )
    return spec.chart("forest", alt.layer(band, *ends, zero, line, dot), data, height)


def _tradeoff(board: Leaderboard, rows: Sequence[BoardRow]) -> Chart:
    data: list[Spec] = []
    for row in rows:
        versus = row.standing.versus_base if row.standing else None
        change = row.english.change if row.english else None
        data.append(
            {
                "recipe": row.recipe,
                "name": spec.brief(row.recipe, 18),
                "gain": spec.short(versus.gain.value) if versus else 0.0,
                "english": spec.short(change.value) if change else 0.0,
                "flops": row.cost.flops or 0.0,
                "cost": quantity(row.cost.flops, "FLOP"),
                "named": row.frontier or row.base,
                "frontier": row.frontier,
            }
        )
    unit = ".1f" if board.primary_in_bits else ".3f"
    height = 340
    ys = spec.domain([one["gain"] for one in data], 0.1)
    xs = spec.domain([one["english"] for one in data] + [board.english_limit], 0.1)
    for one, side in zip(data, _sides(data, xs, ys, height), strict=True):
        one["side"] = side
    x = alt.X(
        "english:Q",
        title="@axis.english",
        scale=alt.Scale(domain=xs, nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    title = "@axis.saved" if board.primary_in_bits else "@axis.gain"
    y = alt.Y(
        "gain:Q",
        title=title,
        scale=alt.Scale(domain=ys, nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    base = alt.Chart().encode(x=x, y=y)
    tips = [
        spec.tip("recipe"),
        spec.tip("gain", unit),
        spec.tip("english", "+.2f"),
        alt.Tooltip("cost:N", title="@tip.flops"),
    ]
    bubbles = base.mark_circle(opacity=0.75, strokeWidth=1.5, style="bubble").encode(
        size=alt.Size("flops:Q", legend=None, scale=alt.Scale(type="linear", range=[70, 900])),
        color=spec.color([row.recipe for row in board.rows]),
        tooltip=tips,
    )
    limit = (
        alt.Chart(alt.Data(values=[{"limit": board.english_limit}]))
        .mark_rule(style="limit")
        .encode(x="limit:Q")
    )
    joined = base.transform_filter("datum.frontier").mark_line(
        style="frontier", interpolate="linear"
    )
    layers = [limit, joined.encode(order="english:Q"), bubbles]
    for style, named in (("named", True), ("unnamed", False)):
        here = f"datum.side != null && datum.named == {str(named).lower()}"
        name = base.transform_filter(here).mark_text(
            style=style,
            align=alt.ExprRef("datum.side[0]"),
            dx=alt.ExprRef("datum.side[1]"),
            dy=alt.ExprRef("datum.side[2]"),
        )
        layers.append(name.encode(text="name:N"))
    return spec.chart("tradeoff", alt.layer(*layers), data, height)


def _sides(
    data: Sequence[Spec], xs: Sequence[float], ys: Sequence[float], height: int
) -> list[labels.Side | None]:
    """Where each bubble's name stands; the frontier chooses first, None has no room."""
    bubbles = [
        labels.Bubble(
            one["name"],
            (one["english"] - xs[0]) / (xs[1] - xs[0]) * labels.WIDTH,
            (ys[1] - one["gain"]) / (ys[1] - ys[0]) * height,
        )
        for one in data
    ]
    order = [one["name"] for one in sorted(data, key=lambda one: not one["named"])]
    sides = labels.place(bubbles, order, height)
    return [sides.get(one["name"]) for one in data]
