"""Expand: a tokenizer with more pieces, written only when its audit finds nothing."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, BadUsage
from kollama2.model.pieces import read_pieces, write_fast
from kollama2.vocab.append import (
    append,
    first_syllables,
    old_ids,
    ordered,
    pieces_of,
)
from kollama2.vocab.audit import audit, refuse
from kollama2.vocab.learn import HANGUL, SPACE, WORDS, count_words, ended, learn, sampled
from kollama2.vocab.runtimes import Runtimes, byte_runtimes, sentencepiece_runtimes
from kollama2.vocab.settings import VocabSettings
from kollama2.vocab.splice import ByteLevel, splice

EXPANSION = "expansion.json"
AUDITED = 2000
"""Korean lines of the corpus on which all runtimes must agree."""


@dataclass(frozen=True)
class Grown:
    """What a tokenizer gained.

    Attributes:
        first: id of the first new token.
        ids: the id of each new piece.
        pieces: their texts; one that begins a word begins with a space.
        old: the old ids that each piece stands for.
        bare: the same without the space that begins a word.
        reserve: tokens behind them that nothing gives.
    """

    first: int
    ids: list[int]
    pieces: list[str]
    old: list[list[int]]
    bare: list[list[int]]
    reserve: int


def expand(
    folder: Path, out: Path, texts: Iterable[str], settings: VocabSettings
) -> dict[str, Any]:
    """Write an expanded tokenizer and `expansion.json`.

    A SentencePiece tokenizer gives `tokenizer.model` and a `tokenizer.json` that agrees with it, a
    byte-level BPE `tokenizer.json`. The other files of a tokenizer are the caller's to copy.

    Args:
        folder: holds the tokenizer to expand.
        out: an existing folder.
        texts: what the new pieces are learned from.
        settings: how many pieces and which.

    Returns:
        Counts and the audit.

    Raises:
        BadData: no tokenizer that can grow, no Korean, or a failed audit, with the line.
        BadUsage: the procedure does not belong to this family of tokenizers.
    """
    old = runtimes(folder)
    lines = list[str]()
    sentencepiece = is_sentencepiece(folder)
    _fits(folder, settings, sentencepiece=sentencepiece)
    words = count_words(sampled(texts, lines, AUDITED), _pattern(settings, set(old.pieces)))
    if sentencepiece:
        proto = read_pieces(folder)
        grown = _append(folder, proto, pieces_of(words, set(old.pieces), settings), settings)
        (out / "tokenizer.model").write_bytes(proto.SerializeToString())
        write_fast(out)
        new = sentencepiece_runtimes(out, proto)
    else:
        model = ByteLevel(folder / "tokenizer.json")
        grown = _splice(model, words, settings)
        model.write(out / "tokenizer.json")
        new = byte_runtimes(out)
    found = audit(old, new, dict(zip(grown.ids, grown.pieces, strict=True)), lines)
    if settings.procedure == "hangul-append":
        refuse(found)
    about = {
        "procedure": settings.procedure,
        "first": grown.first,
        "new": len(grown.pieces),
        "reserve": grown.reserve,
        "size": len(new.pieces),
        "audit": found.record(),
    }
    content = json.dumps({**about, **asdict(grown)}, ensure_ascii=False)
    (out / EXPANSION).write_text(content + "\n", encoding="utf-8")
    return about


def runtimes(folder: Path) -> Runtimes:
    """The programs that read a folder's tokenizer."""
    if is_sentencepiece(folder):
        return sentencepiece_runtimes(folder, read_pieces(folder))
    return byte_runtimes(folder)


def is_sentencepiece(folder: Path) -> bool:
    """Whether a folder's tokenizer is SentencePiece's, or a `tokenizer.json` alone.

    Raises:
        BadData: it is neither.
    """
    if (folder / "tokenizer.model").is_file():
        return True
    if (folder / "tokenizer.json").is_file():
        return False
    raise BadData(f"{folder} holds neither tokenizer.model nor tokenizer.json")


def _fits(folder: Path, settings: VocabSettings, *, sentencepiece: bool) -> None:
    """Refuse what the family of a tokenizer has no use for."""
    if settings.endings and settings.procedure != "hangul-append":
        raise BadUsage(f"endings belong to hangul-append, not to {settings.procedure}")
    if sentencepiece:
        return
    if settings.procedure != "hangul-append":
        raise BadUsage(
            f"procedure {settings.procedure} is of SentencePiece tokenizers, and {folder} "
            "holds none; use hangul-append"
        )
    if settings.endings:
        raise BadUsage(
            f"the tokenizer of {folder} cuts punctuation off before it merges, so that no text "
            "would give a piece like 다.; leave endings out"
        )


def _pattern(settings: VocabSettings, known: set[str]) -> re.Pattern[str]:
    """What counts as a word of the corpus."""
    if settings.procedure == "chinese-llama2":
        return WORDS
    return ended("".join(m for m in ".," if m in known)) if settings.endings else HANGUL


def _append(folder: Path, proto: Any, pieces: list[str], settings: VocabSettings) -> Grown:
    first = len(proto.pieces)
    append(proto, pieces, settings)
    texts = [piece.replace(SPACE, " ") for piece in pieces]
    return Grown(
        first=first,
        ids=list(range(first, first + len(pieces))),
        pieces=texts,
        old=old_ids(folder, texts),
        bare=old_ids(folder, [text.removeprefix(" ") or text for text in texts]),
        reserve=len(proto.pieces) - first - len(pieces),
    )


def _splice(model: ByteLevel, words: Counter[str], settings: VocabSettings) -> Grown:
    first, known = model.size, {token.decode(errors="replace") for token in model.ids}
    chosen = ordered(learn(words, settings.wanted), known, first_syllables(words, settings))
    made = splice(model, [piece.replace(SPACE, " ") for piece in chosen], settings.wanted)
    return Grown(
        first=first,
        ids=[model.ids[text.encode()] for text in made],
        pieces=list(made),
        old=[one.old for one in made.values()],
        bare=[one.bare for one in made.values()],
        reserve=0,
    )
