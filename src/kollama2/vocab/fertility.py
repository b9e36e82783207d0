"""Fertility: how many tokens a tokenizer spends on Korean, and what that means for its users."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from kollama2.errors import BadData
from kollama2.model.bytelevel import as_bytes
from kollama2.model.pieces import SPACE
from kollama2.vocab.audit import unreachable
from kollama2.vocab.learn import HANGUL
from kollama2.vocab.runtimes import runtimes

_BYTE = re.compile("<0x[0-9A-F]{2}>")
WINDOW = 4096
"""Tokens of Llama 2's context."""


@dataclass(frozen=True)
class Fertility:
    """What a tokenizer spends on a Korean text.

    Attributes:
        name: the tokenizer.
        size: of its vocabulary.
        hangul: pieces with Hangul in them.
        dead: those that no text gives.
        per_eojeol: tokens a word between spaces (eojeol).
        per_character: tokens a character.
        per_byte: tokens a UTF-8 byte.
        byte_share: share of the tokens that stand for less than a character.
        premium: Korean tokens for each English one of the same text; None without pairs.
        window: characters in 4,096 tokens.
        speed: characters that a model writes in the time of one by the first tokenizer.
    """

    name: str
    size: int
    hangul: int
    dead: int
    per_eojeol: float
    per_character: float
    per_byte: float
    byte_share: float
    premium: float | None
    window: int
    speed: float


def fertility(
    folders: Sequence[Path], korean: Sequence[str], english: Sequence[str] = ()
) -> list[Fertility]:
    """Measure tokenizers on one text; speeds are relative to the first.

    Args:
        folders: folders with a tokenizer each.
        korean: Korean lines, in any Unicode form.
        english: the same in English, or nothing.

    Raises:
        BadData: no tokenizer, or no Hangul in the lines.
    """
    lines = [normalize("NFC", line) for line in korean]
    if not any(HANGUL.search(line) for line in lines):
        raise BadData("the corpus holds no Hangul; give Korean text")
    found: list[Fertility] = []
    for folder in folders:
        read = runtimes(folder)
        encoded = read.encode(lines)
        tokens = sum(map(len, encoded))
        characters = sum(map(len, lines))
        partial = sum(1 for ids in encoded for i in ids if _partial(read.pieces[i]))
        texts = {i: text for i, piece in enumerate(read.pieces) if (text := _text(piece))}
        other = sum(map(len, read.encode(english))) if english else 0
        found.append(
            Fertility(
                name=folder.name,
                size=len(read.pieces),
                hangul=len(texts),
                dead=len(unreachable(read, texts)),
                per_eojeol=tokens / sum(len(line.split()) for line in lines),
                per_character=tokens / characters,
                per_byte=tokens / sum(len(line.encode()) for line in lines),
                byte_share=partial / tokens,
                premium=tokens / other if other else None,
                window=round(WINDOW * characters / tokens),
                speed=found[0].per_character * characters / tokens if found else 1.0,
            )
        )
    return found


def _text(piece: str) -> str:
    """The text of a piece that has Hangul in it, else nothing; pieces of bytes have none."""
    try:
        text = as_bytes(piece).decode()  # a byte-level vocabulary writes Hangul in other letters
    except (KeyError, UnicodeDecodeError):
        text = piece.replace(SPACE, " ")
    return text if HANGUL.search(text) else ""


def _partial(piece: str) -> bool:
    """Whether a piece is less than a character: a byte, or a part of one."""
    if _BYTE.fullmatch(piece):
        return True
    try:
        as_bytes(piece).decode()
    except UnicodeDecodeError:
        return True
    except KeyError:
        return False
    return False
