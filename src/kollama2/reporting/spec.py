"""What all charts share: the size, names, colours and tooltips of a Vega-Lite spec.

A string `@key` in a spec stands for a text in the reader's language. Colours come from the page,
too: a spec only says which recipe has which place in the palette.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

Spec = dict[str, Any]

AXES, TITLED = 30, 27  # pixels below a chart for its axis, and for the title of the axis
LEGEND = 17  # pixels of a legend's row, of which a wide page has one for five recipes
# The same as `brief`, for names on axes and legends.
BRIEF = (
    "length(datum.label) > letters ? slice(datum.label, 0, floor(letters / 2) - 1) + '…'"
    " + slice(datum.label, -floor(letters / 2)) : datum.label"
)
MAIN = (
    "bpb", "gain", "pmi_en_ko", "pmi_ko_en", "p_gold", "accuracy", "acc_bytes", "points",
    "chrf_en_ko", "chrf_ko_en", "recall", "context_gain", "fidelity",
)  # fmt: skip


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


def chart(name: str, layers: Any, data: Sequence[Spec], height: int) -> Chart:
    """A chart as wide as its place, of layers that read the rows of `data`."""
    letters = alt.param(name="letters", value=26)  # the page sets it by its width
    rows = alt.NamedData(name="rows")
    sized = layers.properties(width="container", height=height, data=rows).add_params(letters)
    spec: Spec = sized.to_dict(validate=False)  # a test validates; here it would cost a second
    # The page needs neither the schema's address nor Altair's own look. The data join late,
    # because Altair would walk through every number of them.
    spec.pop("$schema", None)
    spec.pop("config", None)
    spec["data"] = {"values": list(data)}
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return Chart(name, height + AXES + TITLED, spec)


def names() -> Any:
    """One row for each recipe, in the order of the data."""
    return alt.Y("recipe:N", sort=None, title=None, axis=alt.Axis(labelExpr=BRIEF))


def color(order: Sequence[str], legend: Any = None) -> Any:
    """The colour of a recipe, the same in every chart."""
    return alt.Color("recipe:N", legend=legend, scale=alt.Scale(domain=list(order)))


def legend(values: Sequence[str]) -> Any:
    """A legend below the chart for these recipes."""
    return alt.Legend(title=None, orient="bottom", values=list(values), labelExpr=BRIEF)


def brief(name: str, letters: int) -> str:
    """A long name without its middle: recipes often differ at the end."""
    if len(name) <= letters:
        return name
    return f"{name[: letters // 2 - 1]}…{name[-(letters // 2) :]}"


def tip(field: str, number: str | None = None) -> Any:
    """A line of a tooltip; `number` is the format of a quantity."""
    kind = "Q" if number else "N"
    formatted = {"format": number} if number else {}
    return alt.Tooltip(f"{field}:{kind}", title=f"@tip.{field}", **formatted)


def domain(values: Sequence[float], margin: float) -> list[float]:
    """The ends of an axis with a margin (a share of the range) beyond the values."""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * margin
    return [_five(low - room), _five(high + room)]


def interval(low: float, high: float, digits: str) -> str:
    """An interval as a tooltip shows it."""
    return "–" if math.isnan(low) else f"{low + 0.0:{digits}} – {high + 0.0:{digits}}"


def short(value: float) -> float | None:
    """Five digits, which is more than a pixel shows; None for what is not known."""
    return None if math.isnan(value) else _five(value)


def _five(value: float) -> float:
    return float(f"{value:.5g}") + 0.0
