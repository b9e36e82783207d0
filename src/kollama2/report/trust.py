"""What a row rests on: suite ids, items cut off or failed, suspicious answers, contamination."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kollama2.evaluation.records import Items, load_items
from kollama2.report.board import Seen, Trust
from kollama2.report.records import Cell, Study, read_lines

COUNTED = ("items", "truncated", "empty", "failed")


def trust(study: Study, recipe: str) -> Trust:
    """The trust figures of one recipe, from the records of its finished cells.

    Raises:
        Corrupt: a record cannot be read.
    """
    # A recipe that no seed changes has one evaluation under all seeds; it counts once.
    cells = list({cell.evaluate: cell for cell in study.of(recipe) if cell.done}.values())
    counts: Counter[str] = Counter()
    suites: dict[str, dict[str, None]] = {}
    flags: dict[str, dict[str, None]] = {}
    for cell in cells:
        metrics = study.stages[cell.evaluate].metrics
        suites.setdefault(cell.suite, {})[str(metrics.get("suite", "–"))] = None
        for found in metrics.get("counts", {}).values():
            counts.update({kind: found.get(kind, 0) for kind in COUNTED})
        for task, said in metrics.get("flags", {}).items():
            flags.setdefault(task, {}).update(dict.fromkeys(said))
    return Trust(
        suites={name: list(ids) for name, ids in suites.items()},
        **{kind: counts[kind] for kind in COUNTED},
        flags={task: list(said) for task, said in flags.items()},
        prompts=_prompts(study, cells),
        seen=_seen(study, cells),
        checked=all(
            cell.contamination is None or cell.contamination in study.stages for cell in cells
        ),
    )


def _prompts(study: Study, cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """The range over paraphrases of every measure that was taken with several."""
    means = by_prompt(study, cells)
    return {measure: (min(each), max(each)) for measure, each in means.items()}


def by_prompt(study: Study, cells: Sequence[Cell]) -> dict[str, list[float]]:
    """The score under each paraphrase of every measure with several; means over trainings."""
    found: dict[str, list[list[float]]] = {}
    for cell in cells:
        for measure, scores in study.stages[cell.evaluate].metrics.get("by_prompt", {}).items():
            if len(scores) > 1:
                found.setdefault(measure, []).append(scores)
    return {measure: np.mean(each, axis=0).tolist() for measure, each in found.items()}


def _seen(study: Study, cells: Sequence[Cell]) -> Seen | None:
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
    task, _, _ = study.lock["primary"].partition("/")
    clean = difference = None
    if flagged.get(task):
        clean, whole = _clean(study, checked, study.lock["primary"])
        difference = None if clean is None else clean - whole
    return Seen(flagged, judged, clean, difference)


def _clean(study: Study, cells: Sequence[Cell], measure: str) -> tuple[float | None, float]:
    """The score of a measure without the flagged items, and over all; means over trainings."""
    task = measure.partition("/")[0]
    clean, whole = [], []
    for cell in cells:
        items = load_items(study.store / cell.evaluate / "items.jsonl").get(measure)
        if items is None:
            continue
        whole.append(items.score)
        kept = ~np.isin(items.item, sorted(_flagged(study, cell, task)))
        if kept.any():
            left = Items(
                items.item[kept], items.cluster[kept], items.value[kept], items.weight[kept]
            )
            clean.append(left.score)
    if not whole or len(clean) < len(whole):
        return None, float(np.mean(whole)) if whole else 0.0
    return float(np.mean(clean)), float(np.mean(whole))


def _flagged(study: Study, cell: Cell, task: str) -> set[str]:
    path = study.store / str(cell.contamination) / "seen.jsonl"
    return {
        str(line["item"])
        for line in read_lines(path)
        if line.get("task") == task and line.get("flagged")
    }
