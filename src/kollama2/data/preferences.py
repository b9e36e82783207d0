"""Preference pairs: a better and a worse answer to one prompt, read from rows or built for Korean.

Built pairs prefer an answer in Korean over the same answer with English words in it, or over one in
English, so that a model unlearns to mix languages; nobody has to judge anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kollama2.data.codeswitch import switched_words
from kollama2.data.forms import Example
from kollama2.data.lines import Reject
from kollama2.data.read import Reading
from kollama2.korean import hangul
from kollama2.model.messages import Message, Tool

_LEAST_KOREAN = 0.5


@dataclass(frozen=True, slots=True)
class Preference:
    """A chat up to the answer, two answers, and the functions that these may call."""

    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message
    tools: tuple[Tool, ...] = ()
    line: int = 0
    file: str = ""


def preferences(reading: Reading) -> Iterator[Preference | Reject]:
    """The pairs of a reading of the form `preference`; a row of another form is a reject.

    Raises:
        BadData: the data cannot be read, or no row is usable.
    """
    for one in reading:
        if isinstance(one, Reject):
            yield one
        elif one.rejected is None:
            yield Reject(one.line, "a row without a rejected answer", "", one.file)
        else:
            *prompt, chosen = one.messages
            yield Preference(tuple(prompt), chosen, one.rejected, one.tools, one.line, one.file)


def prefer_korean(
    examples: Iterable[Example],
    words: Mapping[str, str],
    *,
    english: Mapping[int, str] | None = None,
    share: float = 0.5,
    seed: int = 0,
) -> Iterator[Preference]:
    """Pairs (Korean over mixed or English) from chats whose answers are Korean.

    Args:
        examples: chats; those whose last answer is not Korean, and those with tools or thoughts,
            are left out.
        words: Korean to English, see `codeswitch.dictionary`: the mixed answer has some of them.
        english: by the line of an example, its answer in English, where there is one.
        share: of the known words that are English in a mixed answer.
        seed: which.
    """
    for example in examples:
        if not example.messages or hangul.share(example.messages[-1]["content"]) < _LEAST_KOREAN:
            continue
        if example.tools or any("tool_calls" in m or "reasoning" in m for m in example.messages):
            continue
        prompt, chosen = example.messages[:-1], example.messages[-1]["content"]
        worse = (english or {}).get(example.line)
        if worse is None:
            worse = next(switched_words([chosen], words, share, seed + example.line), None)
        if worse and worse != chosen:
            other: Message = {"role": "assistant", "content": worse}
            yield Preference(
                prompt, example.messages[-1], other, line=example.line, file=example.file
            )
