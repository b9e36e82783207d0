"""The per-item browser: each question, what every recipe answered or chose, and who was right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kollama2.errors import visible
from kollama2.records.read import Json
from kollama2.reporting.study import FinishedStage, Study

MOST = 400  # items of a task that a page holds
LONGEST_PROMPT, LONGEST_ANSWER = 1200, 700
# The measures that say whether an answer is right, the first that a task has.
RIGHT = ("accuracy", "acc", "fidelity")
VALUE = ("p_gold", "fidelity")


@dataclass(frozen=True)
class Browsed:
    """The items of a study as the page's script reads them; `tasks` is plain JSON."""

    recipes: tuple[str, ...]
    tasks: tuple[Json, ...]


def browsed(study: Study, recipes: Sequence[str]) -> Browsed:
    """The items of every task that has samples; each recipe speaks with its first seed.

    A task with more than `MOST` items is thinned evenly, the same way for every recipe.
    """
    rows: dict[tuple[str, str], dict[str, Json]] = {}
    answers: dict[tuple[str, str], dict[str, dict[str, Json]]] = {}
    for recipe in recipes:
        for cell in study.first(recipe):
            stage = study.stages[cell.evaluate]
            marks = _marks(stage)
            for line in stage.lines("samples.jsonl"):
                key = (cell.suite, str(line.get("task", "")))
                item = str(line.get("item", ""))
                rows.setdefault(key, {}).setdefault(item, line)
                mark = marks.get((key[1], item), {})
                answers.setdefault(key, {}).setdefault(recipe, {})[item] = {**line, **mark}
    tasks = [_task(task, rows[suite, task], answers[suite, task], recipes) for suite, task in rows]
    return Browsed(tuple(recipes), tuple(tasks))


def _marks(stage: FinishedStage) -> dict[tuple[str, str], Json]:
    """For each item whether it is right, and its value, from the records of an evaluation."""
    found: dict[tuple[str, str], Json] = {}
    for name, items in stage.measured.items.items():
        task, _, measure = name.rpartition("/")
        for item, value, weight in zip(items.item, items.value, items.weight, strict=True):
            mark = found.setdefault((task, str(item)), {})
            # A tie for the highest likelihood is no right answer.
            if measure in RIGHT and "right" not in mark:
                mark["right"] = bool(value >= weight)
            if measure in VALUE and "shown" not in mark:
                mark["shown"] = float(f"{value / weight:.3g}")
    return found


def _task(
    task: str, rows: dict[str, Json], answers: dict[str, dict[str, Json]], recipes: Sequence[str]
) -> Json:
    step = max(1, -(-len(rows) // MOST))
    kept = list(rows)[::step]
    choice = any("choices" in row for row in rows.values())
    items = []
    for item in kept:
        row = rows[item]
        choices = [_text(one) for one in row.get("choices") or ()]
        each = [answers.get(recipe, {}).get(item) for recipe in recipes]
        shown: dict[str, Any] = {
            "id": visible(item),
            "q": _prompt(str(row.get("prompt", ""))),
            "a": [None if one is None else _answer(one, choices) for one in each],
            "r": [None if one is None or "right" not in one else int(one["right"]) for one in each],
            "v": [None if one is None else one.get("shown") for one in each],
        }
        faults = [[] if one is None else one.get("faults") or [] for one in each]
        if any(faults):
            shown["f"] = [[visible(str(fault)) for fault in found] for found in faults]
        if row.get("reference") is not None:
            shown["ref"] = _answer({"answer": row["reference"]}, choices)
        if choices:
            shown["c"] = choices
        items.append(shown)
    return {"task": visible(task), "choice": choice, "total": len(rows), "items": items}


def _answer(line: Json, choices: Sequence[str]) -> int | str:
    """The number of the choice, or the text of a free answer."""
    text = _text(str(line.get("answer", "")))
    return choices.index(text) if text in choices else text


def _text(text: str) -> str:
    cut = text[:LONGEST_ANSWER] + "…" if len(text) > LONGEST_ANSWER else text
    return visible(cut)


def _prompt(text: str) -> str:
    """The end of a prompt: what is asked stands after the examples."""
    cut = "… " + text[-LONGEST_PROMPT:] if len(text) > LONGEST_PROMPT else text
    return visible(cut)
