"""What makes a fluent answer worthless: stock phrases, echoes, leaked marks, loops and gibberish.

Texts are compared by their letters and digits alone, so that spaces, marks and case hide nothing.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path

from kollama2.evaluation.order import is_disordered
from kollama2.model.templates import FORMS, TEMPLATES

# An answer is a stock phrase if more than half of it stands in a tenth of the task's answers, and
# in three at least.
STOCK, STOCK_ANSWERS, LEAST_ANSWERS = 0.5, 0.1, 3
_STOCK_GRAM = 8
# An answer is an echo if so much of it comes from the question and it asks what the question asks
# (its first sentence, a question or a request, by the last letters of it), or if it is cut and so
# much of it is copied, or the beginning of the question. An answer that restates the question ends
# it differently; shorter ones may be returned greetings.
COPIED, COPIED_CUT, SHORTEST_ECHO, SHORTEST_CUT = 0.7, 0.9, 8, 12
_ENDING = 8
_ECHO_GRAM = 6
# More than half of the 6-grams of letters were there before: a loop, not a refrain.
LOOP = 0.5
_LOOP_GRAM = 6
_TAIL = re.compile(r"(?:(.{1,9}?)\1{3,}|(.{10,100}?)\2{2,})\Z")
# Fewer neighbouring syllables are neighbours in Korean text, of so many: names in a short list
# may be new, in a long answer they are few.
GIBBERISH, LEAST_PAIRS = 0.7, 10

_ASK = re.compile(r"\?$|(?:세요|시오|시다|주라|해라|해줘)[.!]?$")
_SENTENCE = re.compile(r"[^.?!:\n]+[.?!:]?")
_EOJEOL = re.compile(r"[\u3131-\u3163\uac00-\ud7a3]+")
# Marks of templates that the project does not write: of other families and of other data sets.
_MARKS = re.compile(
    r"<\|[\w ]{1,40}\|>|<｜[^｜\n]{1,40}｜>|\[\|\w{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>|\[(?:BOS|EOS|PAD|UNK|CLS|SEP)\]"
    r"|^\#{2,3} ?(?:Instruction|Input|Response|Output|Human|Assistant|User|System)\b.{0,20}:"
    r"|^\#{2,3} ?(?:명령어|지시|질문|입력|응답|답변|출력)\s?(?:\(.{1,12}\))?:"
    r"|^(?:Human|Assistant|User|USER|ASSISTANT):|ASSISTANT:",
    re.MULTILINE,
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)


def squeezed(text: str) -> str:
    """The letters and digits of a text, without case, full-width and other variants made plain."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def stock_phrases(texts: Sequence[str]) -> list[bool]:
    """For each answer of a task whether it is mostly what many other answers say too."""
    grams = [set(_grams(f"\x02{squeezed(text)}\x03", _STOCK_GRAM)) for text in texts]
    counts = Counter(gram for found in grams for gram in found)
    many = max(LEAST_ANSWERS, STOCK_ANSWERS * len(texts))
    return [
        len(squeezed(text)) > 0
        and sum(counts[one] >= many for one in found) > STOCK * len(found)
        for text, found in zip(texts, grams, strict=True)
    ]  # fmt: skip


def is_echo(text: str, question: str, *, stopped: bool) -> bool:
    """Whether an answer is the question, in whole or mostly.

    One that was cut and has said nothing of its own until then is one too.
    """
    said, asked = squeezed(text), squeezed(question)
    copied = covered(said, asked)
    if len(said) < SHORTEST_ECHO or copied < COPIED:
        return False
    if len(said) >= SHORTEST_CUT and (
        asked.startswith(said) or (copied >= COPIED_CUT and not stopped)
    ):
        return True
    found = _SENTENCE.findall(question)
    sentences = [one for one in found if len(squeezed(one)) >= SHORTEST_ECHO] or found
    asks = sentences[:1] + [one for one in sentences if _ASK.search(one)]
    return any(squeezed(one)[-_ENDING:] in said for one in asks)


def covered(text: str, source: str) -> float:
    """Share of a text's characters inside n-grams that its source has too; 0 if too short."""
    known = set(_grams(source, _ECHO_GRAM))
    inside = bytearray(len(text))
    for start, gram in enumerate(_grams(text, _ECHO_GRAM)):
        if gram in known:
            inside[start : start + _ECHO_GRAM] = b"\x01" * len(gram)
    return sum(inside) / len(text) if text else 0.0


def leaks(text: str, question: str = "", own: Collection[str] = ()) -> list[str]:
    """The marks of chat templates in an answer's prose that the question does not have.

    Args:
        text: the answer; what it shows as code is no leak.
        question: what was asked.
        own: marks of the model's own template, see `template_marks`.
    """
    prose = _CODE.sub(" ", text)
    found = [*_MARKS.findall(prose), *(mark for mark in _known_marks() | set(own) if mark in prose)]
    return sorted({mark for mark in found if mark not in question})


def template_marks(written: str, content: str) -> set[str]:
    """What a template writes around a content: its marks and its own sentences.

    Args:
        written: a prompt.
        content: what the user says in it.
    """
    lines = (line.strip() for line in written.replace(content, "\n").split("\n"))
    # Words alone ("assistant") are no marks.
    return {line for line in lines if len(line) > 4 and not line.replace(" ", "").isalnum()}


def is_loop(text: str, *, stopped: bool) -> bool:
    """Whether an answer repeats itself, or was cut while it repeated one thing again and again."""
    if repetition(text) > LOOP:
        return True
    return not stopped and _TAIL.search(_uncounted(text)[-400:]) is not None


def repetition(text: str) -> float:
    """Share of n-grams of letters that occurred before, with or without digits; 0 if too short.

    Without digits the counter of a list hides no repetition. Code, which repeats its words, counts
    only where there is nothing else.
    """
    prose = _CODE.sub(" ", text)
    text = prose if squeezed(prose) else text
    return max(_repeated(squeezed(text)), _repeated(_uncounted(text)))


def is_gibberish(text: str) -> bool:
    """Whether words are in no order, or too few neighbouring syllables neighbours in Korean."""
    if is_disordered(text):
        return True
    pairs = syllable_pairs(text)
    if len(pairs) < LEAST_PAIRS:
        return False
    known = sum(map(_known_pairs().__contains__, pairs))
    return known / len(pairs) < GIBBERISH - 1 / math.sqrt(len(pairs))


def syllable_pairs(text: str) -> list[str]:
    """Neighbouring Hangul within the words of a text, each two characters long."""
    words = _EOJEOL.findall(unicodedata.normalize("NFC", text))
    return [word[at : at + 2] for word in words for at in range(len(word) - 1)]


@cache
def _known_pairs() -> frozenset[str]:
    lines = Path(__file__).with_name("syllables.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line[0] + one for line in lines if line[1:2] == ":" for one in line[2:])


@cache
def _known_marks() -> set[str]:
    marks = {token for form in FORMS.values() for token in form.tokens}
    for one in TEMPLATES.values():
        for shape in (one.turn, one.turn_input, one.system):
            text = re.sub(r"\{\w+\}", "\n", shape)
            marks |= template_marks(text, "\n")
        for said in (one.default, one.default_input):
            marks |= template_marks(said, "\n")
    return marks


def _uncounted(text: str) -> str:
    return "".join(filter(str.isalpha, unicodedata.normalize("NFKC", text).casefold()))


def _repeated(text: str) -> float:
    grams = list(_grams(text, _LOOP_GRAM)) if len(text) >= _LOOP_GRAM else []
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _grams(text: str, size: int) -> Iterator[str]:
    """All n-grams of a text, or the text itself if it is shorter."""
    return (text[at : at + size] for at in range(max(1, len(text) - size + 1)))
