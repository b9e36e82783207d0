"""Align: the same text in the old and the new tokens, matched by the bytes that they cover."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kollama2.vocab.runtimes import Runtimes


@dataclass(frozen=True)
class Aligned:
    """A text in both tokenizers.

    Attributes:
        old: the old ids.
        new: the new ids.
        ends: places (in `old`, in `new`) at which both have covered the same bytes.
    """

    old: list[int]
    new: list[int]
    ends: list[tuple[int, int]]


def aligned(old: Runtimes, new: Runtimes, texts: Sequence[str]) -> list[Aligned]:
    """Texts in both tokenizers; those that the two do not cover byte for byte are left out."""
    pairs = []
    for before, after in zip(old.encode(texts), new.encode(texts), strict=True):
        left = list(accumulate(old.widths[i] for i in before))
        right = {end: place for place, end in enumerate(accumulate(new.widths[i] for i in after))}
        ends = [(place, right[end]) for place, end in enumerate(left) if end in right]
        if ends and ends[-1] == (len(before) - 1, len(after) - 1):
            pairs.append(Aligned(before, after, ends))
    return pairs


def cut(pair: Aligned, longest: int) -> list[Aligned]:
    """A text in parts of at most `longest` old tokens, in order.

    Both tokenizations stay as they were in the whole text: a part ends only where both have covered
    the same bytes. Tokens between two such places that are further apart than `longest` are left
    out; no piece of a vocabulary is that long.
    """
    parts, ends, begin = list[Aligned](), list[tuple[int, int]](), (0, 0)

    def close() -> None:
        (old_end, new_end), (old, new) = ends[-1], begin
        moved = [(a - old, b - new) for a, b in ends]
        parts.append(Aligned(pair.old[old : old_end + 1], pair.new[new : new_end + 1], moved))

    for old_end, new_end in pair.ends:
        if old_end - begin[0] >= longest and ends:
            close()
            begin, ends = (ends[-1][0] + 1, ends[-1][1] + 1), []
        if old_end - begin[0] >= longest:
            begin = (old_end + 1, new_end + 1)
        else:
            ends.append((old_end, new_end))
    if ends:
        close()
    return parts


def alignments(pairs: Iterable[Aligned], ids: Sequence[int]) -> list[Counter[int]]:
    """How often each old id stood where a new piece stands, for each of `ids`."""
    place = {i: index for index, i in enumerate(ids)}
    found = [Counter[int]() for _ in ids]
    for pair in pairs:
        begin = (0, 0)
        for old_end, new_end in pair.ends:
            # Between two common ends several tokens may face one.
            for i in pair.new[begin[1] : new_end + 1]:
                if i in place:
                    found[place[i]].update(pair.old[begin[0] : old_end + 1])
            begin = (old_end + 1, new_end + 1)
    return found
