"""Words in no order: does a Korean text's order of endings tell it from its own words, shuffled?

A word is known by its last syllable and the mark behind it (는, 을, 고, "다."). How often each kind
follows each in Korean text is a table; a text's sum over its neighbours is compared with what all
orders of its own words give, so that no vocabulary and no length matters.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

# An order is none if it stands less than so many standard deviations above all others. Prose only
# is judged: enough words, most of them with an ending of a particle, a verb or a sentence.
LEAST_ORDER, LEAST_WORDS, LEAST_ENDINGS = 0.8, 12, 0.55
_MOST_FOREIGN = 0.25
START, END, REST = "^", "$", "?"
KINDS, STEPS = 100, 2  # kinds of words; steps of the table to one bit
_ENDINGS = frozenset("은는이가을를의에로과와도고며서면지한할된인들해하기수것게")
_AROUND = "\"'“”‘’()[]*_"
_MARKS = {**dict.fromkeys(".?!…", "."), **dict.fromkeys(",;", ",")}
_ITEM = re.compile(r"(?:[-*•·]|\(?\d+[.)]|[가-힣A-Za-z][.)])|\d+[.)]\S+")


def is_disordered(text: str) -> bool:
    """Whether a Korean text's words stand in no order; lists, code and short texts never do."""
    words = unicodedata.normalize("NFC", text).split()
    kinds = [kind for kind in map(kind_of, words) if kind]
    if len(kinds) < LEAST_WORDS or "`" in text or any(map(_ITEM.fullmatch, words)):
        return False
    ended = sum(kind[0] in _ENDINGS or kind[-1] == "." for kind in kinds)
    other = sum(kind[0] in "0A#" for kind in kinds)
    if ended < LEAST_ENDINGS * len(kinds) or other > _MOST_FOREIGN * len(kinds):
        return False
    return _order(kinds, _table()) < LEAST_ORDER


def kind_of(word: str) -> str:
    """The last syllable of a word, or 0, A or # for a digit, a letter or a sign, and its mark."""
    word = word.strip(_AROUND)
    mark = _MARKS.get(word[-1:], "")
    last = word.rstrip(".?!…,;:\"'”’)")[-1:]
    if not last:
        return ""
    if not "가" <= last <= "힣":
        last = "0" if last.isdigit() else "A" if last.isalpha() else "#"
    return last + mark


def _order(kinds: Sequence[str], table: Mapping[tuple[str, str], float]) -> float:
    """Standard deviations by which an order is better than all orders of the same kinds."""
    known = [kind if (kind, END) in table else REST for kind in kinds]
    size = len(known)
    found = sum(table[pair] for pair in zip((START, *known), (*known, END), strict=True))
    # Mean and variance of a neighbour in any order, the first and the last apart.
    counts = Counter(known)
    pairs = {
        (one, other): many * (more - (one == other))
        for one, many in counts.items()
        for other, more in counts.items()
    }
    mean = variance = 0.0
    for weights, places in (
        (pairs, size - 1),
        ({(START, one): many for one, many in counts.items()}, 1),
        ({(one, END): many for one, many in counts.items()}, 1),
    ):
        total = sum(weights.values())
        own = sum(table[pair] * weight for pair, weight in weights.items()) / total
        mean += own * places
        variance += places * (
            sum(table[pair] ** 2 * weight for pair, weight in weights.items()) / total - own**2
        )
    return (found - mean) / math.sqrt(variance) if variance > 0 else math.inf


@cache
def _table() -> dict[tuple[str, str], float]:
    """Pointwise mutual information, in bits, of each kind of word and what follows it."""
    lines = Path(__file__).with_name("endings.txt").read_text(encoding="utf-8").splitlines()
    kinds, *rows = (line for line in lines if not line.startswith("# "))
    after = [*kinds.split(), END]
    return {
        (one, other): (ord(letter) - ord("a")) / STEPS - 4
        for one, row in zip((START, *after[:-1]), rows, strict=True)
        for other, letter in zip(after, row, strict=True)
    }
