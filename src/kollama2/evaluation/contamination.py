"""Contamination: which items of a suite stand in training data, also where a copy was edited.

`copies` holds the rule. Here is what is looked up: of each item the texts that would give its
answer away, and what few-shot examples are chosen from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kollama2.evaluation.copies import CHUNK, Copies
from kollama2.evaluation.faults import squeezed
from kollama2.evaluation.items import SuiteItems
from kollama2.evaluation.rows import Row


@dataclass(frozen=True)
class Item:
    """One item: whether it can be judged, and how much of it a piece of training text holds.

    Attributes:
        task: its task.
        id: its id there.
        judged: whether it is long enough to tell a copy.
        share: of its letters, where they are enough to flag it; else 0.
    """

    task: str
    id: str
    judged: bool
    share: float

    @property
    def flagged(self) -> bool:
        """Whether the item counts as seen in training."""
        return self.share > 0


@dataclass(frozen=True)
class Contamination:
    """Every item with its share, and how much training text was read."""

    items: tuple[Item, ...]
    documents: int
    characters: int

    def counts(self) -> dict[str, dict[str, int]]:
        """By task: items, those that can be judged, and those flagged."""
        found: dict[str, dict[str, int]] = {}
        for item in self.items:
            task = found.setdefault(item.task, {"items": 0, "judged": 0, "flagged": 0})
            task["items"] += 1
            task["judged"] += int(item.judged)
            task["flagged"] += int(item.flagged)
        return found


def contamination(
    rows: Mapping[str, Sequence[Row]],
    documents: Iterable[str],
    heard: Callable[[int, int], None] = lambda documents, characters: None,
) -> Contamination:
    """Look every item of a suite up in training text.

    Both sides of a pair must be found (not in one document); the lesser share is the item's.

    Args:
        rows: the rows of each task, by the task's name (`wanted`).
        documents: the training text, one string for each text or whole chat.
        heard: told now and then how many documents and characters were read.
    """
    copies, places = _lookup(rows)
    best = np.zeros(len(copies.judged))
    count = total = 0
    for pieces, read, characters in _chunks(documents, copies):
        np.maximum(best, copies.shares(pieces), out=best)
        count, total = count + read, total + characters
        heard(count, total)
    items = []
    for task, name, at in places:
        shares = best[at][copies.judged[at]]
        items.append(Item(task, name, bool(len(shares)), min(shares.tolist(), default=0.0)))
    return Contamination(tuple(items), count, total)


class HeldOut:
    """Texts that no document may hold, by the same rule: what is kept flags no item.

    Args:
        rows: as `contamination`.

    Attributes:
        items: items that can be judged.
        too_short: items that cannot.
    """

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self._copies, places = _lookup(rows)
        self.items = sum(bool(self._copies.judged[at].any()) for _, _, at in places)
        self.too_short = len(places) - self.items

    def __contains__(self, document: str) -> bool:
        """Whether a document holds a copy of an item, or of one side of a pair."""
        if not self.items:
            return False
        pieces = self._copies.pieces(squeezed(document))
        return any(bool(self._copies.shares([one]).any()) for one in pieces)


def wanted(items: SuiteItems) -> dict[str, list[Row]]:
    """What training data must not hold: the items, and what few-shot examples are chosen from.

    The examples of a task count as a task of their own, `<task> few-shot`, so that they never pass
    for items.
    """
    return {**items.rows, **{f"{task} few-shot": rows for task, rows in items.examples.items()}}


def item_texts(row: Row) -> list[str]:
    """What of a row would give its answer away: its texts, or the question with its answer."""
    if "text" in row:
        return [row["text"]]
    if "en" in row and "ko" in row:
        return [row["en"], row["ko"]]
    asked = [one["content"] for one in row.get("messages") or ()] or [str(row.get("question", ""))]
    answer = row.get("answer") or row.get("reference") or ""
    if "choices" in row:
        answer = row["choices"][row["gold"]]
    # Question and answer follow each other in a chat, so they are one text here too.
    return [" ".join([*asked, answer])]


def _lookup(rows: Mapping[str, Sequence[Row]]) -> tuple[Copies, list[tuple[str, str, list[int]]]]:
    """All texts of all items, and by item its task, its id and which texts are its own."""
    texts: list[tuple[str, str]] = []
    places = []
    for task, each in rows.items():
        for row in each:
            found = item_texts(row)
            places.append((task, row["id"], list(range(len(texts), len(texts) + len(found)))))
            texts += [(task, text) for text in found]
    return Copies(texts), places


def _chunks(documents: Iterable[str], copies: Copies) -> Iterator[tuple[list[str], int, int]]:
    """Squeezed pieces of documents, some at a time, with the documents and characters read."""
    pieces: list[str] = []
    read = characters = size = 0
    for document in documents:
        for piece in copies.pieces(squeezed(document)):
            if size >= CHUNK:
                yield pieces, read, characters
                pieces, read, characters, size = [], 0, 0, 0
            pieces.append(piece)
            size += len(piece) + 1
        read, characters = read + 1, characters + len(document)
    yield pieces, read, characters
