"""Per-item records: reads `items.jsonl` into arrays, one set for each measure."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kollama2.errors import BadData

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Items:
    """One model's records on one measure, in the order of item ids; arrays of shape (items,).

    Items of one stratum are drawn for themselves, so that a mean of tasks keeps its parts; None
    where all items are of one.
    """

    item: Array
    cluster: Array
    value: Array
    weight: Array
    stratum: Array | None = None

    @property
    def score(self) -> float:
        """Sum of values over sum of weights."""
        return float(self.value.sum() / self.weight.sum())

    def only(self, items: Array) -> "Items":
        """These items alone."""
        keep = np.isin(self.item, items)
        stratum = None if self.stratum is None else self.stratum[keep]
        return Items(
            self.item[keep], self.cluster[keep], self.value[keep], self.weight[keep], stratum
        )


def load_items(path: Path) -> dict[str, Items]:
    """Records by full measure name (`text-ko/bpb`), in order of appearance.

    Raises:
        BadData: a line is not a record, or an item stands twice.
    """
    columns: dict[str, list[tuple[str, str, float, float, str]]] = {}
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                record = json.loads(line)
                name = f"{record['task']}/{record['measure']}"
                fields = (
                    record["item"],
                    record["cluster"],
                    record["value"],
                    record["weight"],
                    record.get("stratum", ""),
                )
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise BadData(f"{path} line {number} is not an item's record: {error}") from error
            columns.setdefault(name, []).append(fields)
    return {name: _items(f"{path} {name}", records) for name, records in columns.items()}


def _items(where: str, records: list[tuple[str, str, float, float, str]]) -> Items:
    item, cluster, value, weight, stratum = (
        np.array(column) for column in zip(*records, strict=True)
    )
    order = np.argsort(item, kind="stable")
    if len(np.unique(item)) < len(item):
        raise BadData(f"{where}: an item stands twice")
    return Items(
        item[order],
        cluster[order],
        value[order].astype(np.float64),
        weight[order].astype(np.float64),
        stratum[order] if stratum.any() else None,
    )
