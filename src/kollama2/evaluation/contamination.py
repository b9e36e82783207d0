"""Contamination: which items of a suite stand in the training data, by 20-syllable n-grams.

Korean agglutinates, so the usual 13-grams of words miss copies in which a particle changed. An
item's text is composed (NFC), lower-cased and stripped of everything but letters and digits; its
n-grams are of 20 characters where it is Korean, which are 20 syllables, and of 50 where it is not
(GPT-4 Technical Report, arXiv:2303.08774, appendix C). An item is flagged when more than half of
its n-grams occur in the training data.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from kollama2.evaluation.fidelity import hangul_share
from kollama2.evaluation.rows import Row

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

SYLLABLES, LETTERS = 20, 50
FLAGGED = 0.5  # an item is flagged above this share of its n-grams

_NO_TEXT = re.compile(r"[\W_]+")
_CHUNK = 1 << 17  # characters hashed at a time
# An odd multiplier, so that it has an inverse modulo 2**64, with no pattern in its bits.
_PRIME = 0x9E3779B97F4A7C15
_INVERSE = pow(_PRIME, -1, 1 << 64)
_FILTER_BITS = 18


@dataclass
class Item:
    """One item: its n-grams by their length, and how many of them were found.

    `grams` is 0 for an item that is too short to tell: less than half an n-gram.
    """

    task: str
    id: str
    hashes: dict[int, Hashes] = field(repr=False)
    found: int = 0

    @property
    def grams(self) -> int:
        """How many n-grams the item has."""
        return sum(map(len, self.hashes.values()))

    @property
    def share(self) -> float:
        """Share of the n-grams that were found; 0 where there are none."""
        return self.found / self.grams if self.grams else 0.0

    @property
    def flagged(self) -> bool:
        """Whether the item counts as seen in training."""
        return self.share > FLAGGED


@dataclass(frozen=True)
class Contamination:
    """Every item with its share, and how much training text was read."""

    items: tuple[Item, ...]
    documents: int
    characters: int

    def counts(self) -> dict[str, dict[str, int]]:
        """By task: items, those long enough to judge, and those flagged."""
        found: dict[str, dict[str, int]] = {}
        for item in self.items:
            task = found.setdefault(item.task, {"items": 0, "judged": 0, "flagged": 0})
            task["items"] += 1
            task["judged"] += int(item.grams > 0)
            task["flagged"] += int(item.flagged)
        return found


def contamination(
    rows: Mapping[str, Sequence[Row]],
    documents: Iterable[str],
    heard: Callable[[int, int], None] = lambda documents, characters: None,
) -> Contamination:
    """Look every item of a suite up in training text.

    Args:
        rows: the rows of each task, by the task's name (`rows.read_rows`).
        documents: the training text, one string for each text or whole chat.
        heard: told now and then how many documents and characters were read.
    """
    items = [
        Item(task, row["id"], _grams(item_texts(row)))
        for task, each in rows.items()
        for row in each
    ]
    lengths = sorted({length for item in items for length in item.hashes})
    wanted = {
        n: np.unique(np.concatenate([item.hashes[n] for item in items if n in item.hashes]))
        for n in lengths
    }
    seen = {length: np.zeros(len(hashes), dtype=bool) for length, hashes in wanted.items()}
    filters = {length: _filter(hashes) for length, hashes in wanted.items()}
    count = total = 0
    for chunk, added in _chunks(documents):
        count, total = count + added, total + len(chunk)
        prefix, inverse = _prefix(chunk)
        for length, hashes in wanted.items():
            grams = _rolled(prefix, inverse, length)
            grams = grams[filters[length][grams >> np.uint64(64 - _FILTER_BITS)]]
            place = np.searchsorted(hashes, grams).clip(max=len(hashes) - 1)
            seen[length][place[hashes[place] == grams]] = True
        heard(count, total)
    for item in items:
        for length, hashes in item.hashes.items():
            item.found += int(seen[length][np.searchsorted(wanted[length], hashes)].sum())
    return Contamination(tuple(items), count, total)


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


def squeezed(text: str) -> str:
    """The letters and digits of a text, composed and lower-cased."""
    return _NO_TEXT.sub("", unicodedata.normalize("NFC", text).lower())


def _grams(texts: Sequence[str]) -> dict[int, Hashes]:
    """Hashes of the n-grams of an item by length; a text shorter than one is one by itself."""
    found: dict[int, list[Hashes]] = {}
    for text in texts:
        whole = SYLLABLES if hangul_share(text) >= 0.5 else LETTERS
        letters = squeezed(text)
        length = min(whole, len(letters))
        if length >= whole // 2:
            found.setdefault(length, []).append(_rolled(*_prefix(letters), length))
    return {length: np.concatenate(hashes) for length, hashes in found.items()}


def _chunks(documents: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Squeezed documents joined to chunks, and how many are in each; a NUL stands between two."""
    parts: list[str] = []
    size = 0
    for document in documents:
        parts.append(squeezed(document))
        size += len(parts[-1])
        if size >= _CHUNK:
            yield "\0".join(parts), len(parts)
            parts, size = [], 0
    if parts:
        yield "\0".join(parts), len(parts)


def _prefix(text: str) -> tuple[Hashes, Hashes]:
    """Sums over c_i P**i of all beginnings of a text, modulo 2**64, and the powers of 1 / P."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    # splitmix64's finaliser: neighbouring letters must not have neighbouring numbers.
    codes = (codes + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    codes = (codes ^ (codes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    codes ^= codes >> np.uint64(31)
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(codes * _powers(_PRIME, len(codes)), out=sums[1:])
    return sums, _powers(_INVERSE, len(codes))


def _powers(of: int, size: int) -> Hashes:
    powers = np.full(size, of, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _rolled(sums: Hashes, inverse: Hashes, length: int) -> Hashes:
    """Hashes of all n-grams of a length, the same wherever they stand: sum of c_(i+j) P**j."""
    size = max(0, len(sums) - length)
    return (sums[length:] - sums[:size]) * inverse[:size]


def _filter(hashes: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which leading bits occur: most n-grams of a corpus are told apart by these alone."""
    bits = np.zeros(1 << _FILTER_BITS, dtype=bool)
    bits[hashes >> np.uint64(64 - _FILTER_BITS)] = True
    return bits
