"""Draw Korean gained against English lost: a picture of a study's leaderboard for a page.

    python scripts/draw_tradeoff.py runs/studies/smollm2/leaderboard.json docs/smollm2.svg

Each recipe is a point with the 95 % intervals of both axes; colours say what came before the
instructions, shapes how the instructions were learned. The picture follows the reader's light or
dark scheme and needs no script.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 860, 470  # pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 214, 24, 52
# What came first, in the order of the legend: name, light and dark colour.
FIRST = {
    "nothing": ("instructions alone", "#6b7280", "#9ca3af"),
    "korean": ("Korean text first", "#0f6cbd", "#6cb8ff"),
    "replay": ("Korean, a fifth English", "#b45309", "#f5b14c"),
    "rising": ("translation, then Korean", "#15803d", "#5fd38a"),
    "pieces": ("4,000 new pieces, Korean", "#a21caf", "#f08bf5"),
}
SHAPES = {"full": "full training", "lora": "LoRA", "qlora": "QLoRA"}


@dataclass(frozen=True)
class Point:
    """A recipe: per cent of the base's bits, value and interval, English lost and Korean saved."""

    recipe: str
    lost: tuple[float, float, float]
    saved: tuple[float, float, float]

    @property
    def first(self) -> str:
        """What came before the instructions, a key of `FIRST`."""
        return next((one for one in FIRST if self.recipe.startswith(one)), "nothing")

    @property
    def method(self) -> str:
        """How the instructions were learned, a key of `SHAPES`."""
        return next((one for one in SHAPES if self.recipe.endswith(f"-{one}")), "full")


def points(board: dict[str, Any]) -> list[Point]:
    """The recipes that have both figures."""
    found = []
    for row in board["rows"]:
        english, versus = row.get("english"), (row.get("standing") or {}).get("versus_base")
        if versus and english and english["change"]:
            lost, saved = (
                (one["value"], one["low"], one["high"])
                for one in (english["change"], versus["gain"])
            )
            found.append(Point(row["recipe"], lost, saved))
    return sorted(found, key=lambda one: one.recipe)


@dataclass(frozen=True)
class Axis:
    """A scale with round ticks: from `low` to `high` of the data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[int]:
        """Round values to write on the axis, eight or fewer."""
        span = self.high - self.low
        step = next(one for one in (1, 2, 5, 10, 20, 50, 100) if span / one <= 8)
        return [n for n in range(-1000, 1001, step) if self.low <= n <= self.high]


def axis(values: list[float], start: float, end: float) -> Axis:
    """Room for all values, for 0 and a margin."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    margin = 0.05 * (high - low) or 1.0
    return Axis(low - margin, high + margin, start, end)


def drawn(found: list[Point]) -> str:
    """The picture as SVG."""
    across = axis([end for one in found for end in one.lost], LEFT, WIDTH - RIGHT)
    up = axis([end for one in found for end in one.saved], HEIGHT - BOTTOM, TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="13">',
        '<title id="t">Korean bits saved against English bits lost, by recipe</title>',
        _style(),
        *_frame(across, up),
        *(mark for one in found for mark in _point(one, across, up)),
        *_legend({one.first for one in found}, {one.method for one in found}),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _style() -> str:
    light = "".join(f".{one}{{--c:{colour}}}" for one, (_, colour, _) in FIRST.items())
    dark = "".join(f".{one}{{--c:{colour}}}" for one, (_, _, colour) in FIRST.items())
    return (
        "<style>svg{--ink:#1f2328;--faint:#d0d7de}text{fill:var(--ink)}"
        ".grid{stroke:var(--faint)}.zero{stroke:var(--ink);stroke-dasharray:4 4}"
        f".bar{{stroke:var(--c);opacity:.45}}.mark{{fill:var(--c)}}{light}"
        f"@media (prefers-color-scheme:dark){{svg{{--ink:#e6edf3;--faint:#30363d}}{dark}}}</style>"
    )


def _frame(across: Axis, up: Axis) -> list[str]:
    lines = []
    for at in across.ticks():
        x = across(at)
        kind = "zero" if at == 0 else "grid"
        lines.append(f'<path class="{kind}" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        lines.append(_text(x, HEIGHT - BOTTOM + 20, _percent(at), "middle"))
    for at in up.ticks():
        y = up(at)
        kind = "zero" if at == 0 else "grid"
        lines.append(f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        lines.append(_text(LEFT - 8, y + 4, _percent(at), "end"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(_text(middle, HEIGHT - 10, "English lost (more bits than the base) →", "middle"))
    turned = f'transform="rotate(-90 16 {HEIGHT / 2:.0f})"'
    said = "Korean gained (bits saved) →"
    lines.append(f'<text x="16" y="{HEIGHT / 2:.0f}" text-anchor="middle" {turned}>{said}</text>')
    return lines


def _point(one: Point, across: Axis, up: Axis) -> list[str]:
    x, left, right = map(across, one.lost)
    y, bottom, top = map(up, one.saved)
    said = (
        f"{one.recipe}: Korean {one.saved[0]:.1f} % [{one.saved[1]:.1f}, {one.saved[2]:.1f}], "
        f"English {one.lost[0]:+.1f} % [{one.lost[1]:+.1f}, {one.lost[2]:+.1f}]"
    )
    return [
        f'<g class="{one.first}"><title>{said}</title>'
        f'<path class="bar" d="M{left:.1f} {y:.1f}H{right:.1f}M{x:.1f} {bottom:.1f}V{top:.1f}"/>'
        f"{_mark(one.method, x, y)}</g>"
    ]


def _mark(method: str, x: float, y: float) -> str:
    if method == "full":
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    if method == "lora":
        return f'<path class="mark" d="M{x - 5:.1f} {y - 5:.1f}h10v10h-10z"/>'
    return f'<path class="mark" d="M{x:.1f} {y - 6:.1f}l6 11h-12z"/>'


def _legend(firsts: set[str], methods: set[str]) -> list[str]:
    x, y, lines = WIDTH - RIGHT + 24, TOP + 12, []
    for name, (said, _, _) in FIRST.items():
        if name in firsts:
            lines.append(f'<g class="{name}">{_mark("full", x, y - 4)}</g>')
            lines.append(_text(x + 14, y, said))
            y += 22
    y += 12
    for name, said in SHAPES.items():
        if name in methods:
            lines.append(f'<g class="nothing">{_mark(name, x, y - 4)}</g>')
            lines.append(_text(x + 14, y, said))
            y += 22
    return lines


def _percent(value: int) -> str:
    return f"{value} %".replace("-", "\N{MINUS SIGN}")


def _text(x: float, y: float, said: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{said}</text>'


def main() -> None:
    """Draw the picture that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("leaderboard", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    board = json.loads(arguments.leaderboard.read_text(encoding="utf-8"))
    arguments.picture.write_text(drawn(points(board)), encoding="utf-8")


if __name__ == "__main__":
    main()
