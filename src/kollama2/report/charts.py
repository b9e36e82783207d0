"""The charts: Vega-Lite specs whose titles are keys of `texts.json`, filled in by the page.

A string `@key` in a spec stands for a text in the reader's language. Colours come from the page,
too: a spec only says which recipe has which place in the palette.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from kollama2.report import labels
from kollama2.report.board import Leaderboard, Row
from kollama2.report.contrast import Contrast
from kollama2.report.records import Study, curve
from kollama2.report.terminal import quantity

Spec = dict[str, Any]

ROW = 30  # pixels of a recipe in a chart with one row each
AXES, TITLED = 27, 29  # pixels below a chart for its axis, and for the title of the axis
POINTS = 160  # of a curve; more cannot be told apart on a page
PALETTE = 8  # colours before lines are dashed
LABELS: dict[str, Spec] = {  # how a name stands on each side of its bubble
    "right": {"align": "left", "dx": 22},
    "left": {"align": "right", "dx": -22},
    "above": {"align": "center", "dy": -27},
    "below": {"align": "center", "dy": 27},
}
MAIN = ("bpb", "gain", "pmi_en_ko", "pmi_ko_en", "p_gold", "accuracy", "fidelity")


@dataclass(frozen=True)
class Chart:
    """A spec with the height that the page keeps free for it."""

    name: str
    height: int
    spec: Spec
    measure: str | None = None

    @property
    def diagnostic(self) -> bool:
        """Whether the chart is of a measure that explains others and is shown on demand."""
        return self.measure is not None and self.measure.rpartition("/")[2] not in MAIN


def charts(
    study: Study, board: Leaderboard, contrasts: Mapping[str, Contrast]
) -> dict[str, list[Chart]]:
    """All charts by section: forest, tradeoff, curves, measures; a section may be empty."""
    alt.data_transformers.disable_max_rows()
    order = [row.recipe for row in board.rows]
    placed = [row for row in board.rows if row.standing and row.standing.versus_base]
    traded = [row for row in board.rows if row.english and (row.base or row in placed)]
    return {
        "forest": [_forest(board, placed)] if placed else [],
        "tradeoff": [_tradeoff(board, traded)] if len(traded) > 1 else [],
        "curves": _curves(study, order),
        "measures": [_multiple(one, order) for one in contrasts.values()],
    }


def _forest(board: Leaderboard, rows: Sequence[Row]) -> Chart:
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
                "gain": _short(gain.value),
                "low": _short(gain.low),
                "high": _short(gain.high),
                "mde": _short(versus.mde),
                "minus": _short(-versus.mde),
                "interval": f"{gain.low:{unit}} – {gain.high:{unit}}",
                "tier": row.standing.tier,
                "clear": versus.separable,
            }
        )
    height = round(len(rows) * min(52, max(ROW, 300 / len(rows))))
    title = "@axis.saved" if board.primary_in_bits else "@axis.gain"
    base = alt.Chart().encode(
        y=alt.Y("recipe:N", sort=[row.recipe for row in rows], title=None),
        tooltip=[
            _tip("recipe"),
            _tip("gain", unit),
            alt.Tooltip("interval:N", title="@tip.interval"),
            _tip("mde", unit),
            _tip("tier"),
        ],
    )
    band = base.mark_bar(height=16, opacity=1, style="band").encode(
        x=alt.X("minus:Q", title=title), x2="mde:Q"
    )
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
    return _chart("forest", alt.layer(band, zero, line, dot), data, height)


def _tradeoff(board: Leaderboard, rows: Sequence[Row]) -> Chart:
    data: list[Spec] = []
    for row in rows:
        versus = row.standing.versus_base if row.standing else None
        change = row.english.change if row.english else None
        data.append(
            {
                "recipe": row.recipe,
                "gain": _short(versus.gain.value) if versus else 0.0,
                "english": _short(change.value) if change else 0.0,
                "flops": row.cost.flops or 0.0,
                "cost": quantity(row.cost.flops, "FLOP"),
                "named": row.frontier or row.base,
            }
        )
    unit = ".1f" if board.primary_in_bits else ".3f"
    height = 340
    ys = _domain([one["gain"] for one in data], 0.1)
    xs = _domain([one["english"] for one in data] + [board.english_limit], 0.1)
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
        _tip("recipe"),
        _tip("gain", unit),
        _tip("english", "+.2f"),
        alt.Tooltip("cost:N", title="@tip.flops"),
    ]
    bubbles = base.mark_circle(opacity=0.75, strokeWidth=1.5, style="bubble").encode(
        size=alt.Size("flops:Q", legend=None, scale=alt.Scale(type="linear", range=[70, 900])),
        color=_color([row.recipe for row in board.rows], legend=False),
        tooltip=tips,
    )
    limit = (
        alt.Chart(alt.Data(values=[{"limit": board.english_limit}]))
        .mark_rule(style="limit")
        .encode(x="limit:Q")
    )
    layers = [limit, bubbles]
    for side, offset in LABELS.items():
        for named, style in ((True, "named"), (False, "unnamed")):
            here = f"datum.side == '{side}' && datum.named == {str(named).lower()}"
            label = base.transform_filter(here).mark_text(style=style, **offset)
            layers.append(label.encode(text="recipe:N"))
    return _chart("tradeoff", alt.layer(*layers), data, height)


def _sides(
    data: Sequence[Spec], xs: Sequence[float], ys: Sequence[float], height: int
) -> list[str | None]:
    """Where each bubble's name stands; the frontier chooses first, None has no room."""
    bubbles = [
        labels.Bubble(
            one["recipe"],
            (one["english"] - xs[0]) / (xs[1] - xs[0]) * labels.WIDTH,
            (ys[1] - one["gain"]) / (ys[1] - ys[0]) * height,
        )
        for one in data
    ]
    order = [one["recipe"] for one in sorted(data, key=lambda one: not one["named"])]
    sides = labels.place(bubbles, order, height)
    return [sides.get(one["recipe"]) for one in data]


def _curves(study: Study, order: Sequence[str]) -> list[Chart]:
    """One chart for each kind of training; recipes that share a stage share its line."""
    users: dict[str, dict[str, int]] = {}
    for cell in study.cells:
        for name in cell.path:
            users.setdefault(name, {}).setdefault(cell.recipe, cell.seed)
    kinds: dict[str, list[Spec]] = {}
    for name, recipes in users.items():
        points = _thinned(curve(study, name))
        recipe, seed = next(iter(recipes.items()))
        label = recipe if len(recipes) == 1 else f"{recipe} +{len(recipes) - 1}"
        for point in points:
            found = {"recipe": recipe, "label": label, "seed": seed, "stage": name, **point}
            kinds.setdefault(name.rpartition("-")[0], []).append(found)
    return [_curve(kind, data, order) for kind, data in kinds.items()]


def _curve(kind: str, data: list[Spec], order: Sequence[str]) -> Chart:
    by_tokens = all(one["tokens"] is not None for one in data)
    x = "tokens" if by_tokens else "step"
    shown = [recipe for recipe in order if any(one["recipe"] == recipe for one in data)]
    losses = [one["loss"] for one in data]
    base = alt.Chart().encode(
        x=alt.X(f"{x}:Q", title=f"@axis.{x}", axis=alt.Axis(format="~s", tickCount=5)),
        y=alt.Y(
            "loss:Q",
            title="@axis.loss",
            scale=alt.Scale(domain=_domain(losses, 0.04), nice=False, zero=False),
            axis=alt.Axis(tickCount=6),
        ),
        color=_color(order, legend=True, values=shown),
    )
    dashes = alt.StrokeDash(
        "turn:O", legend=None, scale=alt.Scale(domain=[0, 1, 2], range=[[1, 0], [6, 3], [2, 2]])
    )
    for one in data:
        one["turn"] = max(0, order.index(one["recipe"]) - 1) // PALETTE % 3
    line = base.mark_line(strokeWidth=1.3, opacity=0.85, interpolate="linear").encode(
        detail=["stage:N"], strokeDash=dashes
    )
    tips = [alt.Tooltip("label:N", title="@tip.recipe"), _tip("seed"), _tip("loss", ".3f")]
    tips += [alt.Tooltip(f"{x}:Q", title=f"@tip.{x}", format=",")]
    dots = base.mark_circle(size=60, opacity=0.001).encode(tooltip=tips)
    return _chart(f"curve-{kind}", alt.layer(line, dots), data, 320)


def _thinned(lines: Sequence[Mapping[str, Any]]) -> list[Spec]:
    """A curve of at most `POINTS` points: the mean loss of as many equal stretches of steps."""
    lines = [line for line in lines if isinstance(line.get("loss"), int | float)]
    size = -(-len(lines) // POINTS) or 1
    points = []
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        loss = sum(line["loss"] for line in part) / len(part)
        last = part[-1]
        tokens = last.get("tokens")
        points.append({"step": last.get("step"), "tokens": tokens, "loss": _short(loss)})
    return points


def _multiple(contrast: Contrast, order: Sequence[str]) -> Chart:
    """One small panel: every recipe's score on one measure, the base as a line."""
    shown = [recipe for recipe in order if recipe in contrast.scores]
    data: list[Spec] = []
    for recipe in shown:
        score = contrast.scores[recipe]
        place = contrast.comparison[recipe] if contrast.comparison else None
        low, high = (place.low, place.high) if place else (score, score)
        data.append(
            {
                "recipe": recipe,
                "score": _short(score),
                "low": _short(low),
                "high": _short(high),
                "interval": f"{low:.3f} – {high:.3f}",
            }
        )
    ends = [one[end] for one in data for end in ("low", "high")]
    options: Spec = {
        "title": None,
        "scale": alt.Scale(domain=_domain(ends, 0.08), nice=False, zero=False),
        "axis": alt.Axis(tickCount=4),
    }
    tips = [_tip("recipe"), _tip("score", ".4f"), alt.Tooltip("interval:N", title="@tip.interval")]
    base = alt.Chart().encode(
        y=alt.Y("recipe:N", sort=shown, title=None),
        color=_color(order, legend=False),
        tooltip=tips,
    )
    line = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", **options), x2="high:Q")
    dot = base.mark_point(size=60, filled=True, opacity=1).encode(x=alt.X("score:Q", **options))
    layers = [line, dot]
    if contrast.comparison:
        at_base = alt.Data(values=[{"base": _short(contrast.scores[order[0]])}])
        layers.insert(0, alt.Chart(at_base).mark_rule(style="zero").encode(x="base:Q"))
    name = "measure-" + contrast.measure.replace("/", "-").replace(":", "-")
    panel = alt.layer(*layers)
    return _chart(name, panel, data, len(shown) * 22, contrast.measure)


def _chart(
    name: str, layers: Any, data: Sequence[Spec], height: int, measure: str | None = None
) -> Chart:
    rows = alt.NamedData(name="rows")
    sized = layers.properties(width="container", height=height, data=rows)
    spec: Spec = sized.to_dict(validate=False)  # a test validates; here it would cost a second
    # The page needs neither the schema's address nor Altair's own look. The data join late,
    # because Altair would walk through every number of them.
    spec.pop("$schema", None)
    spec.pop("config", None)
    spec["data"] = {"values": list(data)}
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return Chart(name, height + AXES + (0 if measure else TITLED), spec, measure)


def _color(order: Sequence[str], *, legend: bool, values: Sequence[str] = ()) -> Any:
    shown = alt.Legend(title=None, orient="bottom", values=list(values)) if legend else None
    return alt.Color("recipe:N", legend=shown, scale=alt.Scale(domain=list(order)))


def _tip(field: str, number: str | None = None) -> Any:
    kind = "Q" if number else "N"
    formatted = {"format": number} if number else {}
    return alt.Tooltip(f"{field}:{kind}", title=f"@tip.{field}", **formatted)


def _domain(values: Sequence[float], margin: float) -> list[float]:
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * margin
    return [_short(low - room), _short(high + room)]


def _short(value: float) -> float:
    return float(f"{value:.5g}") + 0.0
