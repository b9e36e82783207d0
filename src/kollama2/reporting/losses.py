"""Training curves as numbers: whose each is, and few enough points to draw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kollama2.reporting.study import Study

POINTS = 160  # of a curve; more cannot be told apart on a page


@dataclass(frozen=True)
class Owner:
    """Who uses a stage: the first recipe, with the seed it had there; `label` counts the others."""

    recipe: str
    label: str
    seed: int


def owners(study: Study) -> dict[str, Owner]:
    """Whose the stages on the paths are; recipes that share a stage share its curve."""
    users: dict[str, dict[str, int]] = {}
    for cell in study.cells:
        for name in cell.path:
            users.setdefault(name, {}).setdefault(cell.recipe, cell.seed)
    found = {}
    for name, recipes in users.items():
        recipe, seed = next(iter(recipes.items()))
        label = recipe if len(recipes) == 1 else f"{recipe} +{len(recipes) - 1}"
        found[name] = Owner(recipe, label, seed)
    return found


def thinned(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A curve of at most `POINTS` points: the mean loss of as many equal stretches of steps."""
    lines = [line for line in lines if isinstance(line.get("loss"), int | float)]
    size = -(-len(lines) // POINTS) or 1
    points = []
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        loss = sum(line["loss"] for line in part) / len(part)
        shown = None if math.isnan(loss) else float(f"{loss:.5g}")
        points.append(
            {"step": part[-1].get("step"), "tokens": part[-1].get("tokens"), "loss": shown}
        )
    return points
