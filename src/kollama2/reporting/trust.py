"""What a row rests on: suite ids, items cut off or failed, suspicious answers, contamination."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kollama2.reporting.board import Seen, Trust
from kollama2.reporting.study import CellState, Study

COUNTED = ("items", "truncated", "unscorable", "empty", "failed")


def trust(study: Study, recipe: str) -> Trust:
    """The trust figures of one recipe, from the records of its finished cells.

    Raises:
        Corrupt: a record cannot be read.
    """
    cells = study.finished(recipe)
    counts: Counter[str] = Counter()
    suites: dict[str, dict[str, None]] = {}
    flags: dict[str, dict[str, None]] = {}
    for cell in cells:
        metrics = study.stages[cell.evaluate].evaluation
        suites.setdefault(cell.suite, {})[metrics.suite] = None
        for found in metrics.counts.values():
            counts.update({kind: getattr(found, kind) for kind in COUNTED})
        for task, said in metrics.flags.items():
            flags.setdefault(task, {}).update(dict.fromkeys(said))
    return Trust(
        suites={name: list(ids) for name, ids in suites.items()},
        **{kind: counts[kind] for kind in COUNTED},
        flags={task: list(said) for task, said in flags.items()},
        prompts={
            measure: (min(each), max(each)) for measure, each in by_prompt(study, recipe).items()
        },
        seen=_seen(study, cells),
        checked=all(
            cell.contamination is None or cell.contamination in study.stages for cell in cells
        ),
    )


def by_prompt(study: Study, recipe: str) -> dict[str, list[float]]:
    """The score under each paraphrase of every measure with several; means over trainings."""
    found: dict[str, list[list[float]]] = {}
    for one in study.evaluations(recipe):
        for measure, scores in one.by_prompt.items():
            if len(scores) > 1:
                found.setdefault(measure, []).append(scores)
    return {measure: np.mean(each, axis=0).tolist() for measure, each in found.items()}


def _seen(study: Study, cells: Sequence[CellState]) -> Seen | None:
    checked = [cell for cell in cells if cell.contamination in study.stages]
    if not checked:
        return None
    flagged: dict[str, int] = {}
    judged: dict[str, int] = {}
    # Seeds share their data, hence their check; suites are told apart by their tasks.
    for name in dict.fromkeys(cell.contamination for cell in checked):
        for task, found in study.stages[str(name)].metrics.get("counts", {}).items():
            flagged[task] = max(flagged.get(task, 0), found["flagged"])
            judged[task] = max(judged.get(task, 0), found["judged"])
    task, _, _ = study.lock.primary.partition("/")
    clean = difference = None
    if flagged.get(task):
        clean, whole = _clean(study, checked, study.lock.primary)
        difference = None if clean is None else clean - whole
    return Seen(flagged, judged, clean, difference)


def _clean(study: Study, cells: Sequence[CellState], measure: str) -> tuple[float | None, float]:
    """The score of a measure without the flagged items, and over all; means over trainings."""
    task = measure.partition("/")[0]
    clean, whole = [], []
    for cell in cells:
        items = study.stages[cell.evaluate].measured.items.get(measure)
        if items is None:
            continue
        whole.append(items.score)
        left = items.only(np.setdiff1d(items.item, sorted(_flagged(study, cell, task))))
        if len(left.item):
            clean.append(left.score)
    if not whole or len(clean) < len(whole):
        return None, float(np.mean(whole)) if whole else 0.0
    return float(np.mean(clean)), float(np.mean(whole))


def _flagged(study: Study, cell: CellState, task: str) -> set[str]:
    lines = study.stages[str(cell.contamination)].lines("seen.jsonl")
    return {str(line["item"]) for line in lines if line.get("task") == task and line.get("flagged")}
