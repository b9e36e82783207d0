"""Per-item records: a line of `items.jsonl` for each item and measure, and arrays of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from kollama2.errors import storage
from kollama2.records.read import unreadable

ITEMS = "items.jsonl"
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Item(TypedDict):
    """A line; others may follow that say more of the item.

    Attributes:
        cluster: items of one are drawn together (a passage, a premise, a fact).
        value: the score of the measure is sum(value) / sum(weight) over its items.
        stratum: the part of a mean that the item belongs to.
        by_prompt: the values under each paraphrase of the prompt, whose mean `value` is.
    """

    task: str
    measure: str
    item: str
    cluster: str
    value: float
    weight: float
    stratum: NotRequired[str]
    by_prompt: NotRequired[list[float]]


# Dictionaries and one call for all lines: a tenth of the time of a model for each.
_LINES = TypeAdapter(list[Item])


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


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def load_items(path: Path) -> dict[str, Items]:
    """Records by full measure name (`text-ko/bpb`), in order of appearance.

    Raises:
        Corrupt, Missing: the file is missing, a line is not a record, or an item stands twice.
        Denied, StorageTrouble: it cannot be read.
    """
    if not path.is_file():
        raise unreadable(path, "is missing from a finished stage")
    with storage(path):
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    by_measure: dict[str, list[Item]] = {}
    for line in _validated(path, lines):
        by_measure.setdefault(f"{line['task']}/{line['measure']}", []).append(line)
    return {name: _items(path, name, found) for name, found in by_measure.items()}


def _validated(path: Path, lines: list[bytes]) -> list[Item]:
    if lines == [b""]:
        return []
    try:
        found = _LINES.validate_json(b"[" + b",".join(lines) + b"]")
        if len(found) == len(lines):
            return found
    except ValidationError:
        pass  # it is said below, with the line
    for number, line in enumerate(lines, 1):
        why = "there is not one on it"
        try:
            if len(_LINES.validate_json(b"[" + line + b"]")) == 1:
                continue
        except ValidationError as error:
            why = error.errors()[0]["msg"]
        raise unreadable(path, f"has no item's record in line {number} ({why})")
    raise AssertionError("lines that are good one by one are good together")


def _items(path: Path, name: str, records: list[Item]) -> Items:
    item, cluster = (np.array([one[key] for one in records]) for key in ("item", "cluster"))
    value, weight = (
        np.array([one[key] for one in records], dtype=np.float64) for key in ("value", "weight")
    )
    stratum = np.array([one.get("stratum", "") for one in records])
    order = np.argsort(item, kind="stable")
    if len(np.unique(item)) < len(item):
        raise unreadable(path, f"has an item twice among those of {name}")
    return Items(
        item[order],
        cluster[order],
        value[order],
        weight[order],
        stratum[order] if stratum.any() else None,
    )
