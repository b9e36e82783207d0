"""Gain and loss of models, and their picture: Korean against English, a line through the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from kollama2.errors import BadUsage
from kollama2.records.measures import measure
from kollama2.reporting.table import unbeaten

FORMS = (".svg", ".png", ".html")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; padding: 0 1rem; max-width: 46rem; }
#vis { background: #fff; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #8886; }
th { font-size: .85em; }
th:nth-child(2), td:nth-child(2) { text-align: left; width: 50%; }
tr.best { font-weight: 600; }
"""


@dataclass(frozen=True)
class Point:
    """One model: what it gains in Korean and loses in English, both relative to the base.

    Where a measure is in bits both are shares of the base's bits, else differences.
    """

    name: str
    korean_gain: float
    english_loss: float
    best: bool = False


def points(scores: dict[str, dict[str, float]], primary: str, english: str) -> list[Point]:
    """Gain and loss of each model against the first, the best ones marked.

    Args:
        scores: for each model its measures; the first model is the base.
        primary: the Korean measure.
        english: the English one.

    Returns:
        The points, the largest gain first; a best one has no other with as much gain and less loss.
    """
    base = next(iter(scores.values()))
    gains = {
        name: (_better(base, one, primary), _better(base, one, english))
        for name, one in scores.items()
    }
    best = unbeaten(gains)
    found = [Point(name, ko, 0.0 - en, name in best) for name, (ko, en) in gains.items()]
    return sorted(found, key=lambda point: -point.korean_gain)


def _better(base: dict[str, float], one: dict[str, float], name: str) -> float:
    about = measure(name)
    assert about.higher is not None, f"{name} ranks nothing"
    if about.unit == "bits/byte" and not about.higher:
        return (base[name] - one[name]) / base[name]
    return (one[name] - base[name]) * (1 if about.higher else -1)


def check(path: Path) -> None:
    """Refuse a file that is no picture, before anything is computed.

    Raises:
        BadUsage: its name ends otherwise.
    """
    if path.suffix not in FORMS:
        raise BadUsage(f"{path} is no picture that can be drawn; name it {', '.join(FORMS)}")


def draw(points: Sequence[Point], primary: str, english: str, path: Path) -> None:
    """Write the picture; as HTML a page that works offline, with the table below.

    Args:
        points: as `points` gives them.
        primary: the Korean measure.
        english: the English one.
        path: `.svg`, `.png` or `.html`.
    """
    numbers = numbered(points)
    chart = _chart(points, numbers, primary, english)
    if path.suffix != ".html":
        chart.properties(width=640).save(str(path))
        return
    page: str = chart.properties(width="container").to_html(
        inline=True, embed_options={"actions": False}
    )
    head = (
        '<meta charset="UTF-8">\n<title>Frontier</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>"
    )
    page = page.replace("<head>", f"<head>\n{head}", 1)
    # The last one: the drawing library holds such words too.
    before, end, after = page.rpartition("</body>")
    page = f"{before}{_table(points, numbers, primary, english)}\n{end}{after}"
    path.write_text(page, encoding="utf-8")


def numbered(points: Sequence[Point]) -> dict[str, int]:
    """A number for each point that nothing beats, from the least English loss on."""
    best = sorted((one for one in points if one.best), key=lambda one: one.english_loss)
    return {one.name: number for number, one in enumerate(best, 1)}


def _chart(points: Sequence[Point], numbers: dict[str, int], primary: str, english: str) -> Any:
    import altair as alt

    rows = [
        {
            "model": one.name,
            "gain": one.korean_gain,
            "loss": one.english_loss,
            "best": one.best,
            "number": str(numbers.get(one.name, "")),
        }
        for one in points
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "loss:Q", title=f"English loss ({english})", axis=alt.Axis(format="+.0%", tickCount=6)
        ),
        y=alt.Y(
            "gain:Q", title=f"Korean gain ({primary})", axis=alt.Axis(format="+.0%", tickCount=6)
        ),
    )
    best = base.transform_filter("datum.best")
    tips = [
        "model:N",
        alt.Tooltip("gain:Q", format="+.1%"),
        alt.Tooltip("loss:Q", format="+.1%"),
    ]
    line = best.mark_line(color="#2a6f97", interpolate="step-after").encode(order="loss:Q")
    dots = base.mark_circle(size=90, opacity=1).encode(
        color=alt.condition("datum.best", alt.value("#2a6f97"), alt.value("#b9bec6")), tooltip=tips
    )
    names = best.mark_text(dy=-12, fontWeight="bold").encode(text="number:N")
    return alt.layer(line, dots, names).properties(height=360)


def _table(points: Sequence[Point], numbers: dict[str, int], primary: str, english: str) -> str:
    head = ("", "model", f"Korean gain ({primary})", f"English loss ({english})")
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(one)}</th>" for one in head) + "</tr>"]
    for one in points:
        cells = (
            str(numbers.get(one.name, "")),
            one.name,
            f"{one.korean_gain:+.1%}",
            f"{one.english_loss:+.1%}",
        )
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr class="best">{row}</tr>' if one.best else f"<tr>{row}</tr>")
    lines.append("</table>")
    lines.append(
        "<p>Numbered: no other model gains as much Korean for less English. Single scores, no "
        "interval.</p>"
    )
    return "\n".join(lines)
