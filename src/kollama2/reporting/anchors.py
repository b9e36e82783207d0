"""Published figures, shown only beside figures that were measured by the same protocol.

`anchors.json` holds macro-F1 on KoBEST's test splits as the named model cards give it, measured
with lm-eval's own `kobest_*` tasks. Left out are figures that cannot be compared: polyglot-ko's
HellaSwag (another metric under the same name) and its 5-shot BoolQ (prompts cut to 2,048 tokens).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kollama2.reporting.study import Study


class Anchor(NamedTuple):
    """A published figure and where it stands."""

    task: str
    shots: int
    metric: str
    model: str
    value: float
    source: str


@dataclass(frozen=True)
class Reproduced:
    """One of lm-eval's own aggregates over all recipes, with the anchors that it may stand beside.

    `scores` are means over the seeds of a recipe.
    """

    task: str
    shots: int
    metric: str
    scores: dict[str, float]
    anchors: tuple[Anchor, ...]

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"{self.task}/{self.metric}"


@cache
def published() -> tuple[Anchor, ...]:
    """All anchors."""
    path = Path(__file__).with_name("anchors.json")
    return tuple(Anchor(**one) for one in json.loads(path.read_text(encoding="utf-8")))


def reproduced(study: Study) -> list[Reproduced]:
    """lm-eval's aggregates of the study for which a figure of the same protocol is published.

    The protocol is the same when lm-eval's own task was measured whole, with as many examples drawn
    as the task's file says, and without a chat template.
    """
    sums: dict[tuple[str, int, str], dict[str, list[float]]] = {}
    for recipe in study.recipes:
        for cell in study.finished(recipe):
            stage = study.stages[cell.evaluate]
            shots = _whole_tasks(stage.settings)
            for task, metrics in stage.evaluation.reproduced.items():
                if task not in shots:
                    continue
                for metric, value in metrics.items():
                    by_recipe = sums.setdefault((task, shots[task], metric), {})
                    by_recipe.setdefault(recipe, []).append(value)
    found = []
    for (task, shots_, metric), by_recipe in sums.items():
        anchors = fitting(task, shots_, metric)
        if anchors:
            scores = {recipe: sum(each) / len(each) for recipe, each in by_recipe.items()}
            found.append(Reproduced(task, shots_, metric, scores, anchors))
    return found


def fitting(task: str, shots: int, metric: str) -> tuple[Anchor, ...]:
    """The anchors of one protocol."""
    return tuple(
        one for one in published() if (one.task, one.shots, one.metric) == (task, shots, metric)
    )


def _whole_tasks(settings: dict[str, Any]) -> dict[str, int]:
    """lm-eval's tasks that a suite measures by the published protocol, with their examples."""
    found = {}
    for task in (settings.get("suite") or {}).get("tasks", ()):
        names: Sequence[str] = task.get("tasks") or ()
        plain = task.get("fewshot", "default") == "default" and not task.get("chat")
        whole = task.get("limit") is None and task.get("include") is None
        if task.get("measure_kind") == "harness" and plain and whole:
            found.update({name: int(task.get("num_fewshot") or 0) for name in names})
    return found
