"""Copies: which texts stand in other text, also where a copy was edited.

Korean agglutinates, so a copy in which particles and endings changed shares hardly any long n-gram
with its original, while short ones occur everywhere. So short n-grams are looked up, and they count
where they stand close together, in any order: within a window little longer than the text they must
cover most of its letters. What several texts of a group share (a template, an instruction, a
passage with several questions) proves nothing by itself: they must cover as much of the letters
that are the text's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kollama2.evaluation.faults import squeezed
from kollama2.korean import hangul

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


class Scale(NamedTuple):
    """Lengths in letters for one kind of script.

    Attributes:
        gram: of an n-gram.
        shortest: of a text below which it is not judged; ordinary speech repeats short sentences.
        own: of what no other text of the group has, below which a copy must be verbatim.
    """

    gram: int
    shortest: int
    own: int


# A syllable of Korean says as much as two and a half letters of English. Calibrated on planted
# edits by `bench/contamination.py`; the figures are in docs/journal.md.
KOREAN, OTHER = Scale(3, 10, 4), Scale(8, 25, 10)
# A text counts as copied above these shares of its letters, and of those that are its own.
FLAGGED, OWN = 0.7, 0.5
VERBATIM = 0.95  # share of the letters for a text that has too few of its own
WINDOW = 1.6  # length of a window, for one letter of the text: a copy may be longer
COMMON = 8  # an n-gram of more texts of a group than this is no text's

CHUNK = 1 << 17  # letters looked up at a time
_SPAN = 1 << 40  # places of one text in the numbers that hold text and place
# An odd multiplier, so that it has an inverse modulo 2**64, with no pattern in its bits.
_PRIME = 0x9E3779B97F4A7C15
_INVERSE = pow(_PRIME, -1, 1 << 64)


class Copies:
    """Looks texts up in other text.

    Args:
        texts: (group, text); equal texts of a group count as one.

    Attributes:
        judged: by text, whether it is long enough to tell a copy, shape [texts].
    """

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        scales = [KOREAN if hangul.share(text) >= 0.5 else OTHER for _, text in texts]
        self._indexes: list[tuple[_Index, Ints, Ints]] = []  # texts of one scale, places there
        self.judged = np.zeros(len(texts), dtype=bool)
        for scale in dict.fromkeys(scales):
            known: dict[tuple[str, str], int] = {}
            of = [at for at, one in enumerate(scales) if one == scale]
            names = [(texts[at][0], squeezed(texts[at][1])) for at in of]
            places = np.array([known.setdefault(name, len(known)) for name in names])
            index = _Index(scale, list(known))
            self._indexes.append((index, np.array(of), places))
            self.judged[of] = index.judged[places]
        self._overlap = max((index.longest for index, _, _ in self._indexes), default=0)

    def pieces(self, document: str) -> Iterator[str]:
        """A squeezed document in pieces of bounded length, such that each window is in one."""
        step = max(CHUNK, self._overlap)
        yield document[: step + self._overlap]
        for start in range(step, len(document) - self._overlap, step):
            yield document[start : start + step + self._overlap]

    def shares(self, pieces: Sequence[str]) -> Floats:
        """How much of each text the likeliest copy of it holds.

        Args:
            pieces: squeezed documents, or pieces of them.

        Returns:
            Shares of the letters, shape [texts]; 0 where they are not above `FLAGGED`.
        """
        sums, inverse = _prefix("\0".join(pieces))
        ends = np.cumsum([len(one) + 1 for one in pieces])
        found = np.zeros(len(self.judged))
        for index, of, places in self._indexes:
            found[of] = index.shares(_rolled(sums, inverse, index.gram), ends)[places]
        return found


class _Index:
    """The n-grams of the texts of one scale, each with the text that it is of and its place there.

    `_whole` and `_own` count a text's letters: those in n-grams that few texts of the group have,
    and those in n-grams that no other has.
    """

    def __init__(self, scale: Scale, texts: Sequence[tuple[str, str]]) -> None:
        self.gram = scale.gram
        lengths = np.array([len(text) + 1 for _, text in texts])  # a NUL stands behind each
        self._text_at = np.repeat(np.arange(len(texts)), lengths)
        self._hashes, self._place, self._is_own = self._grams(texts, np.cumsum(lengths))
        self._many = _repeats(_changes(self._hashes))
        every = self._text_at[self._place] + 1  # as if all had been found
        gram = np.arange(len(every))
        self._whole = self._covered(every, gram, len(texts))
        self._own = self._covered(np.where(self._is_own, every, 0), gram, len(texts))
        has_own = self._own >= scale.own
        self._least = np.where(has_own, FLAGGED, VERBATIM)
        self._least_own = np.where(has_own, OWN * self._own, -1)
        self.judged = (lengths > scale.shortest) & (has_own | (self._whole >= scale.shortest))
        self._window = ((lengths - 1) * WINDOW).astype(np.int64)
        self.longest = int(self._window.max())
        bits = max(16, min(24, len(self._hashes).bit_length() + 3))
        self._shift = np.uint64(64 - bits)
        self._filter = np.zeros(1 << bits, dtype=bool)  # most n-grams are told apart by this alone
        self._filter[self._hashes >> self._shift] = True

    def _grams(self, texts: Sequence[tuple[str, str]], ends: Ints) -> tuple[Hashes, Ints, Bools]:
        """Hash, place, and whether no other text of the group has it; by hash."""
        hashes = _rolled(*_prefix("\0".join([*(text for _, text in texts), ""])), self.gram)
        place = np.arange(len(hashes))
        inside = place + self.gram < ends[self._text_at[place]]
        hashes, place = hashes[inside], place[inside]
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(group, len(numbers)) for group, _ in texts])
        group = groups[self._text_at[place]]
        order = np.lexsort((place, group, hashes))
        hashes, place, group = hashes[order], place[order], group[order]
        other = _changes(hashes) | _changes(group)
        first = other | _changes(self._text_at[place])  # a text's first of equal n-grams
        many = _repeats(other[first])  # by n-gram, how many texts of the group have it
        few = many <= COMMON
        return hashes[first][few], place[first][few], many[few] == 1

    def shares(self, grams: Hashes, ends: Ints) -> Floats:
        """As `Copies.shares`, by text of this index.

        Args:
            grams: hashes of the n-grams of all pieces, one after another.
            ends: where each piece ends.
        """
        found = np.zeros(len(self._own))
        at, gram = self._hits(grams)
        text = self._text_at[self._place[gram]]
        order = np.argsort(text * _SPAN + at)
        at, gram, text = at[order], gram[order], text[order]
        run = self._runs(at, text, ends)
        text = text[_changes(run) & (run > 0)]  # by run
        whole = self._covered(run, gram, len(text)) / self._whole[text]
        own = self._covered(np.where(self._is_own[gram], run, 0), gram, len(text))
        good = (whole > self._least[text]) & (own > self._least_own[text])
        np.maximum.at(found, text, np.where(good, whole, 0))
        return found

    def _covered(self, run: Ints, gram: Ints, runs: int) -> Ints:
        """By run, counted from 1, how many letters of its text its n-grams cover."""
        run, gram = run[run > 0], gram[run > 0]
        size = len(self._text_at)
        letters = run[:, None] * size + self._place[gram, None] + np.arange(self.gram)
        letters = np.sort(letters, axis=None)
        return np.bincount(letters[_changes(letters)] // size, minlength=runs + 1)[1:]

    def _hits(self, grams: Hashes) -> tuple[Ints, Ints]:
        """Where n-grams of texts stand, and which; one line for each text that has them."""
        at = np.flatnonzero(self._filter[grams >> self._shift])
        first = np.searchsorted(self._hashes, grams[at])
        known = self._hashes[first.clip(max=len(self._hashes) - 1)] == grams[at]
        at, first = at[known], first[known]
        many = self._many[first]
        each = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.repeat(at, many), np.repeat(first, many) + each

    def _runs(self, at: Ints, text: Ints, ends: Ints) -> Ints:
        """By hit, which run of windows that are full enough it lies in, counted from 1; else 0."""
        key = text * _SPAN + at
        # Letters that the hits so far cover; those of another text or piece never overlap.
        total = np.cumsum(np.minimum(np.diff(key, prepend=-_SPAN), self.gram))
        piece = np.searchsorted(ends, at, side="right")
        limit = np.minimum(at + self._window[text], ends[piece]) - self.gram
        last = np.searchsorted(key, text * _SPAN + limit, side="right") - 1
        full = total[last] - total + self.gram > self._least[text] * self._whole[text]
        full &= self.judged[text]
        open_windows = np.zeros(len(at) + 1, dtype=np.int64)
        open_windows[:-1] += full
        np.subtract.at(open_windows, last[full] + 1, 1)
        inside = np.cumsum(open_windows)[:-1] > 0
        new = _changes(inside) | _changes(text) | _changes(piece)
        runs = np.cumsum(inside & new, dtype=np.int64)
        return np.where(inside, runs, 0)


def _changes(values: Any) -> Bools:
    """By value, whether it differs from the one before; the first one does."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def _repeats(changes: Bools) -> Ints:
    """By value, how many equal ones stand together, given where they change."""
    many = np.diff(np.flatnonzero(np.append(changes, True)))
    return np.repeat(many, many)


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
