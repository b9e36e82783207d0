"""One document of a corpus: what is mended in it, and why it would be left out.

Nothing here knows other documents, so the same function serves one process and a cluster.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from kollama2.data import pii
from kollama2.korean import hangul

# Lines that stand around articles and are no part of them.
_BOILERPLATE = re.compile(
    r"무단\s*(?:전재|복제|배포)|재배포\s*(?:를\s*)?금지|all rights reserved"
    r"|^(?:저작권자|copyright|ⓒ|©|\(c\))"
    r"|^[가-힣]{2,4}\s*(?:기자|특파원|인턴기자)\s*=?\s*[\w.+-]+@[\w.-]+$"
    r"|^(?:로그인|로그아웃|회원가입|공유하기|댓글(?:\s*\d+)?|목록|목록으로|이전글|다음글|맨\s?위로|관련\s?기사"
    r"|구독하기|본문 바로가기|메뉴 바로가기|인쇄하기|글자 크기|스크랩|검색|홈으로)$"
    r"|^(?:기사\s?제보|광고\s?문의|카카오톡\s*[:：].*|제보\s*[:：].*)$",
    re.IGNORECASE,
)
_BLANK_LINES = re.compile(r"\n{3,}")
_SPACES = re.compile(r"[^\S\n]+")
_NOT_WORD = re.compile(r"[\W_]+")


class Rules(BaseModel):
    """What a document must be to stay in a corpus; the defaults are for Korean web text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_hangul: float = Field(0.3, ge=0, le=1, description="least share of Hangul among letters")
    min_characters: PositiveInt = Field(50, description="shortest document")
    max_repeated: float = Field(0.3, gt=0, le=1, description="most characters in repeated lines")
    boilerplate: bool = Field(True, description="drop lines that stand around articles")
    mask: bool = Field(True, description="mask phone and resident numbers and e-mail addresses")


@dataclass(frozen=True, slots=True)
class Tidied:
    """A document after `tidy`: its text, what was done to it, and why it is left out, if it is."""

    text: str
    changes: Counter[str]
    reason: str | None = None


def tidy(text: str, rules: Rules) -> Tidied:
    """Mend a document (NFC, boilerplate, white space, personal data) and judge it.

    Args:
        text: the document.
        rules: what it must be.
    """
    changes: Counter[str] = Counter()
    if not hangul.is_nfc(text):
        text, changes["composed to NFC"] = hangul.nfc(text), 1
    lines = [line.strip() for line in _SPACES.sub(" ", text).split("\n")]
    if rules.boilerplate:
        kept = [line for line in lines if not _BOILERPLATE.search(line)]
        changes["boilerplate lines dropped"] = len(lines) - len(kept)
        lines = kept
    text = _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
    if rules.mask:
        text, masked = pii.mask(text)
        changes += masked
    return Tidied(text, +changes, _reason(text, lines, rules))


def _reason(text: str, lines: list[str], rules: Rules) -> str | None:
    if len(text) < rules.min_characters:
        return f"under {rules.min_characters} characters"
    if hangul.share(text) < rules.min_hangul:
        return f"under {rules.min_hangul:.0%} Hangul"
    seen, again = set[str](), 0
    for line in filter(None, lines):
        again += len(line) if line in seen else 0
        seen.add(line)
    if again > rules.max_repeated * len(text):
        return "repeats its lines"
    return None


def bare(text: str) -> str:
    """Letters and digits only, lower case: what two copies of a text have in common."""
    return _NOT_WORD.sub("", text).lower()


class HeldOut(Protocol):
    """Texts that no document may hold; `kollama2.evaluation.contamination.HeldOut` is one.

    Attributes:
        items: texts that can be recognised.
        too_short: texts that cannot.
    """

    items: int
    too_short: int

    def __contains__(self, document: str) -> bool:
        """Whether a document holds one of the texts."""
