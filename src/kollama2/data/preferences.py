"""Preference pairs: a better and a worse answer to one prompt, read from rows or built for Korean.

Built pairs prefer an answer in Korean over the same answer with English words in it, so that a
model unlearns to mix languages; nobody has to judge anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from kollama2.data.codeswitch import switched_words
from kollama2.data.forms import Example
from kollama2.data.lines import Reject
from kollama2.data.read import Reading
from kollama2.korean import hangul

_LEAST_KOREAN = 0.5


def preferences(reading: Reading) -> Iterator[Example | Reject]:
    """The pairs of a reading of the form `preference`; a row of another form is a reject.

    Raises:
        BadData: the data cannot be read, or no row is usable.
    """
    for one in reading:
        lacks = isinstance(one, Example) and one.rejected is None
        yield Reject(one.line, "a row without a rejected answer", "", one.file) if lacks else one


def prefer_korean(
    examples: Iterable[Example], words: Mapping[str, str], *, seed: int = 0
) -> Iterator[Example]:
    """Pairs (Korean over mixed) from chats whose answers are Korean.

    Args:
        examples: chats; those whose last answer is not Korean, or has none of the words, and those
            with tools or thoughts, are left out.
        words: Korean to English, see `codeswitch.dictionary`: the worse answer has some of them.
        seed: which.
    """
    for one in examples:
        if not one.messages or hangul.share(one.answer["content"]) < _LEAST_KOREAN:
            continue
        if one.tools or any("tool_calls" in m or "reasoning" in m for m in one.messages):
            continue
        answer = one.answer["content"]
        worse = next(switched_words([answer], words, seed=seed + one.line), None)
        if worse and worse != answer:
            yield replace(one, rejected={"role": "assistant", "content": worse})
