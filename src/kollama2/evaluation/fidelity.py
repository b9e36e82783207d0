"""Is an answer a Korean answer? Its language, and the faults that make fluent text worthless."""

import re
import unicodedata
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

from kollama2.evaluation.faults import is_echo, is_gibberish, is_loop, leaks, repetition
from kollama2.evaluation.language import asks_for_another, foreign_lines
from kollama2.korean import hangul

# Raise it when the same free answers would get other values than before.
VERSION = 3
# An answer with any of these is not faithful.
FAULTS = ("empty", "invalid_utf8", "foreign", "stock", "echo", "leak", "loop", "gibberish")

_WORD = re.compile(r"\w+")


class Fidelity(NamedTuple):
    """Measures of one answer; all are shares from 0 to 1, those in `FAULTS` are 0 or 1."""

    fidelity: float
    hangul_share: float
    line_pass: float
    mixed_script: float
    invalid_utf8: float
    repetition: float
    eos: float
    empty: float
    foreign: float
    stock: float
    echo: float
    leak: float
    loop: float
    gibberish: float

    def faults(self) -> list[str]:
        """Names of what is wrong with the answer."""
        return [name for name in FAULTS if getattr(self, name)]


def measure_answer(
    text: str,
    *,
    stopped: bool,
    question: str = "",
    reference: str | None = None,
    marks: Collection[str] = (),
    stock: bool = False,
) -> Fidelity:
    """Measures of one answer.

    `fidelity` is 1 if nothing of `FAULTS` is wrong with it, else 0. What the reference says is
    right, also where it is the question or what other answers say; where the question asks for
    another language, or the reference is in one, any language will do.

    Args:
        text: the decoded answer; U+FFFD stands for bytes that form no character.
        stopped: whether the model ended it by itself.
        question: what it answers.
        reference: a right answer.
        marks: those of the model's own chat template, see `faults.template_marks`.
        stock: whether the answer is a stock phrase among the task's, see `faults.stock_phrases`.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    foreign = foreign_lines(text)
    free = asks_for_another(question) or bool(reference and foreign_lines(reference))
    right = reference is not None and text.strip() == reference.strip()
    words = _WORD.findall(text)
    found = Fidelity(
        fidelity=0.0,
        hangul_share=hangul.share(text),
        line_pass=max(0.0, 1 - len(foreign) / len(lines)) if lines else 0.0,
        mixed_script=sum(map(_is_mixed, words)) / len(words) if words else 0.0,
        invalid_utf8=float("\ufffd" in text),
        repetition=repetition(text),
        eos=float(stopped),
        empty=float(not any(map(_is_said, text))),
        foreign=float(bool(foreign) and not free),
        stock=float(stock and not right),
        echo=float(not right and is_echo(text, question, stopped=stopped)),
        leak=float(bool(leaks(text, question, marks))),
        loop=float(not right and is_loop(text, stopped=stopped)),
        gibberish=float(not right and is_gibberish(text)),
    )
    return found._replace(fidelity=float(not found.faults()))


def _is_said(character: str) -> bool:
    """Whether a character is a letter, a digit or an emoji."""
    return character.isalnum() or unicodedata.category(character) == "So"


def _is_mixed(word: str) -> bool:
    """Whether a letter of another script stands directly after or between Hangul letters.

    Korean particles follow foreign words without a space (Python을), so Hangul after another
    script is correct Korean; another script after Hangul (한국en) is not.
    """
    letters = [one for one in unicodedata.normalize("NFC", word) if one.isalpha()]
    scripts = [hangul.is_hangul(one) for one in letters]
    return any(before and not after for before, after in pairwise(scripts))
