"""Fertility: how many tokens a tokenizer spends on Korean, and what that means for its users."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from kollama2.errors import BadData, Fault
from kollama2.model.bytelevel import as_bytes
from kollama2.model.files import FAST, PIECES
from kollama2.model.pieces import SPACE, processor, read_proto
from kollama2.model.reading import reading
from kollama2.model.tokenizer import filed
from kollama2.vocab.audit import unreachable
from kollama2.vocab.learn import HANGUL
from kollama2.vocab.places import tokenizer_folder
from kollama2.vocab.runtimes import Runtimes

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
    tokenizers: Sequence[str | Path],
    korean: Sequence[str],
    english: Sequence[str] = (),
    *,
    find: Callable[[str], Path] = Path,
    refused: Callable[[str, Fault], None] | None = None,
) -> list[Fertility]:
    """Measure tokenizers on one text; speeds are relative to the first.

    Args:
        tokenizers: folders and files with a tokenizer each, as `tokenizer_folder` takes them.
        korean: Korean lines, in any Unicode form.
        english: the same in English, or nothing.
        find: where a tokenizer of such a name lies.
        refused: receives each tokenizer that cannot be read, with the reason; without it the first
            one ends all.

    Raises:
        BadData: no tokenizer, or no Hangul in the lines.
    """
    lines = [normalize("NFC", line) for line in korean]
    if not any(HANGUL.search(line) for line in lines):
        raise BadData("the corpus holds no Hangul; give Korean text")
    found: list[Fertility] = []
    for name in map(str, tokenizers):
        try:
            place = find(name)
            verdict = "holds a tokenizer that cannot be measured"
            with tokenizer_folder(place) as folder, reading(place, verdict):
                first = found[0] if found else None
                found.append(_measured(name, _reading(folder), lines, english, first))
        except Fault as fault:
            if refused is None:
                raise
            refused(name, fault)
    return found


def _reading(folder: Path) -> Runtimes:
    """A tokenizer as its own program reads it."""
    if (folder / PIECES).is_file():
        proto = read_proto(folder / PIECES)
        model = processor(proto)
        names = [one.piece for one in proto.pieces]
        return Runtimes({"": lambda texts: list(model.encode(list(texts)))}, model.decode, names)
    fast = filed(folder)
    fast.encode_special_tokens = True
    ids = {i: name for name, i in fast.get_vocab().items()}

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [one.ids for one in fast.encode_batch_fast(list(texts), add_special_tokens=False)]

    names = [ids.get(i, "") for i in range(max(ids, default=-1) + 1)]
    return Runtimes({"": encode}, fast.decode, names)


def _measured(
    name: str,
    read: Runtimes,
    lines: Sequence[str],
    english: Sequence[str],
    first: Fertility | None,
) -> Fertility:
    encoded = read.encode(lines)
    tokens = sum(map(len, encoded))
    characters = sum(map(len, lines))
    partial = sum(1 for ids in encoded for i in ids if _partial(read.pieces[i]))
    texts = {i: text for i, piece in enumerate(read.pieces) if (text := _text(piece))}
    other = sum(map(len, read.encode(english))) if english else 0
    return Fertility(
        name=_short(name),
        size=len(read.pieces),
        hangul=len(texts),
        dead=len(unreachable(read, texts)),
        per_eojeol=tokens / sum(len(line.split()) for line in lines),
        per_character=tokens / characters,
        per_byte=tokens / sum(len(line.encode()) for line in lines),
        byte_share=partial / tokens,
        premium=tokens / other if other else None,
        window=round(WINDOW * characters / tokens),
        speed=first.per_character * characters / tokens if first else 1.0,
    )


def _short(name: str) -> str:
    """A tokenizer as a table names it: the last part of its path that tells it from others."""
    path = Path(name)
    if name.startswith("hf:"):
        return name
    usual = path.name in (PIECES, FAST)
    return f"{path.absolute().parent.name}/{path.name}" if usual else path.name


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
    except KeyError:  # not of a byte-level vocabulary
        return False
    return False
