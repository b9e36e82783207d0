"""Names beside bubbles: a place for each that covers neither a bubble nor another name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# How a name stands beside its bubble: alignment, and pixels to the right and down.
Side = tuple[Literal["left", "right", "center"], int, int]
SIDES: tuple[Side, ...] = (
    ("left", 22, 0),
    ("right", -22, 0),
    ("center", 0, -27),
    ("center", 0, 27),
    ("right", 14, -27),
    ("right", 14, 27),
    ("left", -14, -27),
    ("left", -14, 27),
)

# A phone's plot; on a wider page the same places have more room between them.
WIDTH = 270.0
LETTER, LINE, RADIUS = 7.0, 15.0, 15.0


@dataclass(frozen=True)
class Bubble:
    """A point in pixels from the top left of the plot."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def place(bubbles: Sequence[Bubble], named: Sequence[str], height: float) -> dict[str, Side]:
    """The side of its bubble on which each name stands; a name without room is left out.

    Args:
        bubbles: all points.
        named: whose names are wanted, the most important first.
        height: of the plot, in pixels.
    """
    frame = _Box(-2, -2, WIDTH + 2, height + 2)
    taken = [
        _Box(one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS) for one in bubbles
    ]
    by_name = {one.name: one for one in bubbles}
    sides: dict[str, Side] = {}
    for name in named:
        for side, box in _candidates(by_name[name]):
            inside = box.left >= frame.left and box.right <= frame.right
            inside = inside and box.top >= frame.top and box.bottom <= frame.bottom
            if inside and not any(box.meets(other) for other in taken):
                sides[name] = side
                taken.append(box)
                break
    return sides


def _candidates(bubble: Bubble) -> list[tuple[Side, _Box]]:
    width = LETTER * len(bubble.name)
    boxes = []
    for side in SIDES:
        align, dx, dy = side
        left = bubble.x + dx - {"left": 0.0, "right": width, "center": width / 2}[align]
        top = bubble.y + dy - LINE / 2
        boxes.append((side, _Box(left, top, left + width, top + LINE)))
    return boxes
