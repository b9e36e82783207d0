"""Preference pairs: a better and a worse answer to one prompt, read from rows or built for Korean.

Built pairs prefer an answer in Korean over the same answer with English words in it, or over one in
English, so that a model unlearns to mix languages; nobody has to judge anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kollama2.data import hangul
from kollama2.data.codeswitch import switched_words
from kollama2.data.formats import read_rows, sniff
from kollama2.data.forms import Example
from kollama2.data.lines import MAX_LINE, Reject, Row
from kollama2.errors import BadData
from kollama2.model.messages import Message

_PROMPT = ("prompt", "instruction", "question", "질문", "명령어")
_LEAST_KOREAN = 0.5


@dataclass(frozen=True, slots=True)
class Preference:
    """A chat up to the answer, and two answers."""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str


def read_preferences(path: Path, counts: dict[str, int]) -> Iterator[Preference]:
    """Rows with a prompt (or instruction), `chosen` and `rejected`, each a text or a list of turns.

    Args:
        path: JSON, JSONL, CSV, TSV or Parquet.
        counts: gets `in` and `rejected` rows.

    Raises:
        BadData: no row holds a pair.
    """
    kept = 0
    for row in read_rows(path, sniff(path), MAX_LINE, lambda cells: "chosen" in cells):
        counts["in"] = counts.get("in", 0) + 1
        found = None if isinstance(row, Reject) else _preference(row)
        if found is None:
            counts["rejected"] = counts.get("rejected", 0) + 1
        else:
            kept += 1
            yield found
    if not kept:
        raise BadData(f"{path}: no row has a prompt, a chosen and a rejected answer that differ")


def _preference(row: Row) -> Preference | None:
    value = row.value
    if not isinstance(value, dict):
        return None
    asked = next((value[name] for name in _PROMPT if isinstance(value.get(name), str)), None)
    chosen, rejected = (_answer(value.get(name)) for name in ("chosen", "rejected"))
    if not asked or not chosen or not rejected or chosen == rejected:
        return None
    ask: Message = {"role": "user", "content": hangul.nfc(asked).strip()}
    if isinstance(value.get("input"), str) and value["input"].strip():
        ask["input"] = hangul.nfc(value["input"]).strip()
    return Preference((ask,), chosen, rejected)


def _answer(value: Any) -> str | None:
    """The text of an answer: itself, a turn, or the last of a list of turns."""
    if isinstance(value, list) and value:
        value = value[-1]
    if isinstance(value, dict):
        value = value.get("content", value.get("value"))
    return hangul.nfc(value).strip() if isinstance(value, str) and value.strip() else None


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
            yield Preference(prompt, chosen, worse)
