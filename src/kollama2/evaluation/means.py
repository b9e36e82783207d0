"""Means of other tasks' scores on one scale, as records, so that statistics treat them alike."""

from collections.abc import Iterable, Mapping
from typing import Any

from kollama2.errors import BadData
from kollama2.evaluation.kinds import Mean
from kollama2.evaluation.outcome import Outcome, by_measure


def mean(task: Mean, records: Iterable[Mapping[str, Any]]) -> Outcome:
    """The weighted mean of the parts: 0 points at chance, 100 at the best possible score.

    Each record of a part becomes one of the mean with a weight such that every part counts as the
    suite says, however many items it has; `stratum` keeps the parts apart when items are drawn.

    Raises:
        BadData: a part has no records.
    """
    outcome = Outcome(task.name)
    found = by_measure(records)
    for part in task.parts:
        scored = found.get(part.measure, [])
        total = sum(record["weight"] for record in scored)
        if not total:
            raise BadData(f"task {task.name}: no item was scored by {part.measure}")
        for record in scored:
            share = part.weight * record["weight"] / total
            score = record["value"] / record["weight"]
            points = 100 * (score - part.chance) / (part.best - part.chance)
            row = {
                "id": f"{part.measure}/{record['item']}",
                "cluster": f"{part.measure}/{record['cluster']}",
            }
            outcome.add(row, "points", points * share, share, details={"stratum": part.measure})
    outcome.items = len(outcome.records)
    return outcome
