"""Is an answer Korean? Shares, lines, mixed words, broken characters and loops of a generation."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

# A line is Korean if at least half of its letters are Hangul. Korean text keeps names, units and
# code in Latin letters (a "Python 3" in a short sentence), which stay below half; a line in
# another language with a Korean word in it stays above. Lines without letters (numbers, rules)
# have no language and pass.
KOREAN_LINE = 0.5
# More than half of the 4-grams of tokens repeated: a loop, not a refrain.
LOOP = 0.5

_HANGUL = re.compile(r"[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7a3\ud7b0-\ud7ff]")
_WORD = re.compile(r"\w+")


class Fidelity(NamedTuple):
    """Measures of one answer; all are shares from 0 to 1."""

    fidelity: float
    hangul_share: float
    line_pass: float
    mixed_script: float
    invalid_utf8: float
    repetition: float
    eos: float
    empty: float


def measure_answer(text: str, ids: Sequence[int], *, stopped: bool) -> Fidelity:
    """Measures of one answer.

    `fidelity` is 1 if the answer has text, every line of it is Korean, all bytes form characters
    and it is no loop; else 0.

    Args:
        text: the decoded answer; U+FFFD stands for bytes that form no character.
        ids: its tokens, without the stop id.
        stopped: whether the model ended it by itself.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    share = hangul_share(text)
    passed = sum(_is_korean(line) for line in lines) / len(lines) if lines else 0.0
    words = _WORD.findall(text)
    mixed = sum(map(_is_mixed, words)) / len(words) if words else 0.0
    invalid = "\ufffd" in text
    repeated = repetition(ids)
    good = bool(lines) and share > 0 and passed == 1 and not invalid and repeated <= LOOP
    return Fidelity(
        float(good),
        share,
        passed,
        mixed,
        float(invalid),
        repeated,
        float(stopped),
        float(not lines),
    )


def hangul_share(text: str) -> float:
    """Hangul among the letters of a text; 0 if it has no letters."""
    letters = [one for one in text if one.isalpha()]
    return sum(map(_is_hangul, letters)) / len(letters) if letters else 0.0


def repetition(ids: Sequence[int]) -> float:
    """Share of 4-grams that occurred before in the same sequence; 0 if shorter than 4."""
    grams = [tuple(ids[start : start + 4]) for start in range(len(ids) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _is_hangul(letter: str) -> bool:
    return _HANGUL.match(letter) is not None


def _is_korean(line: str) -> bool:
    return not any(map(str.isalpha, line)) or hangul_share(line) >= KOREAN_LINE


def _is_mixed(word: str) -> bool:
    """Whether a letter of another script stands directly after or between Hangul letters.

    Korean particles follow foreign words without a space (Python을), so Hangul after another
    script is correct Korean; another script after Hangul (한국en) is not.
    """
    letters = [one for one in unicodedata.normalize("NFC", word) if one.isalpha()]
    scripts = [_is_hangul(one) for one in letters]
    return any(before and not after for before, after in pairwise(scripts))
