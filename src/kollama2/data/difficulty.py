"""How hard a text is, by measures that need no model; all are higher for harder text.

Which measure orders a curriculum well is an open question (research found compression, lexical
diversity and readability best), so each is one option and nothing is combined.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kollama2.korean import hangul

Measure = Literal["length", "compression", "diversity", "rarity", "surprisal"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_TYPICAL_RATIO = 0.72


def difficulties(texts: Sequence[str], measure: Measure) -> NDArray[np.float64]:
    """The difficulty of each text, shape (texts,).

    Args:
        texts: all texts of a source; `surprisal` counts its words over them.
        measure: `length` in characters; `compression` is the share of bytes that zlib leaves;
            `diversity` is MTLD over eojeol; `rarity` is the share of syllables that KS X 1001
            lacks or that are outside the source's 1,000 most frequent; `surprisal` is the mean of
            -log2 p over eojeol.
    """
    if measure == "rarity":
        counts = Counter(c for text in texts for c in text if "가" <= c <= "힣")
        common = {c for c, _ in counts.most_common(1000) if in_ksx1001(c)}
        return np.array([_rarity(text, common) for text in texts], dtype=np.float64)
    if measure == "surprisal":
        words = Counter(word for text in texts for word in text.split())
        return np.array([_surprisal(text, words) for text in texts], dtype=np.float64)
    simple: Mapping[str, Callable[[str], float]] = {
        "length": lambda text: float(len(hangul.nfc(text))),
        "compression": compression,
        "diversity": mtld,
    }
    return np.array([simple[measure](text) for text in texts], dtype=np.float64)


def compression(text: str) -> float:
    """Bytes after zlib (level 6) as a share of those before; repetitive text is easy."""
    raw = text.encode()
    return len(zlib.compress(raw, 6)) / max(len(raw), 1)


def mtld(text: str) -> float:
    """Measure of textual lexical diversity over eojeol: mean run that keeps a type ratio of 0.72.

    Source: McCarthy and Jarvis 2010, Behavior Research Methods 42(2).
    """
    words = re.findall(r"\w+", text.lower())
    if not words:
        return 0.0
    return (_runs(words) + _runs(words[::-1])) / 2


def _runs(words: Sequence[str]) -> float:
    factors, seen, size = 0.0, set[str](), 0
    for word in words:
        size += 1
        seen.add(word)
        if len(seen) / size <= _TYPICAL_RATIO:
            factors, seen, size = factors + 1, set[str](), 0
    if size:
        factors += (1 - len(seen) / size) / (1 - _TYPICAL_RATIO)
    return len(words) / factors if factors else float(len(words))


@cache
def in_ksx1001(syllable: str) -> bool:
    """Whether a syllable is one of the 2,350 of KS X 1001, the common ones."""
    return len(syllable.encode("euc_kr", "ignore")) == 2


def _rarity(text: str, common: set[str]) -> float:
    syllables = [c for c in text if "가" <= c <= "힣"]
    return sum(c not in common for c in syllables) / max(len(syllables), 1)


def _surprisal(text: str, words: Counter[str]) -> float:
    found, total = text.split(), words.total()
    return sum(-math.log2(words[word] / total) for word in found) / max(len(found), 1)
