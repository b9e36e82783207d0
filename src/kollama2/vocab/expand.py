"""Expand: a tokenizer with more pieces, written only when its audit finds nothing."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kollama2.errors import BadUsage
from kollama2.model.added import added_tokens
from kollama2.model.bytelevel import ByteLevel
from kollama2.model.fast import extend_fast
from kollama2.model.files import FAST
from kollama2.model.handover import copy_tokenizer
from kollama2.model.pieces import SPACE, write_fast, write_pieces
from kollama2.model.probe import HARD, unchanged_lines
from kollama2.model.rebuild import is_sentencepiece, pieces_or_rebuilt
from kollama2.model.tokenizer import load_tokenizer, tokenizer_size
from kollama2.vocab.append import append, first_syllables, hold, old_ids, ordered, pieces_of
from kollama2.vocab.audit import audit, refuse
from kollama2.vocab.changes import changes
from kollama2.vocab.learn import HANGUL, WORDS, count_words, ended, learn, sampled
from kollama2.vocab.runtimes import runtimes
from kollama2.vocab.settings import VocabSettings
from kollama2.vocab.splice import splice

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
    """Write an expanded tokenizer with all files of its folder, and `expansion.json`.

    New pieces come behind everything that the tokenizer has; added tokens keep their ids. A
    SentencePiece tokenizer gives both its own model and one of the tokenizers library that agrees
    with it, whichever of them there was; a byte-level one is of that library.

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
    copy_tokenizer(folder, out)
    grow = _append if sentencepiece else _splice
    grown = grow(folder, out, words, settings)
    found = audit(old, runtimes(out), dict(zip(grown.ids, grown.pieces, strict=True)), lines)
    more = changes(folder, out, unchanged_lines(), [*HARD, *lines])
    found = replace(found, faults=(*found.faults, *more))
    if settings.procedure == "hangul-append":
        refuse(found)
    about = {
        "procedure": settings.procedure,
        "first": grown.first,
        "new": len(grown.pieces),
        "reserve": grown.reserve,
        "size": tokenizer_size(out),
        "audit": asdict(found),
    }
    content = json.dumps({**about, **asdict(grown)}, ensure_ascii=False)
    (out / EXPANSION).write_text(content + "\n", encoding="utf-8")
    return about


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


def _append(folder: Path, out: Path, words: Counter[str], settings: VocabSettings) -> Grown:
    """Pieces behind all that a SentencePiece tokenizer has."""
    proto = pieces_or_rebuilt(folder)
    pieces = pieces_of(words, {one.piece for one in proto.pieces}, settings)
    texts = [piece.replace(SPACE, " ") for piece in pieces]
    old = old_ids(proto, texts)
    bare = old_ids(proto, [text.removeprefix(" ") or text for text in texts])
    hold(proto, added_tokens(folder))
    first = len(proto.pieces)
    append(proto, pieces, settings)
    write_pieces(proto, out)
    if (folder / FAST).is_file():
        extend_fast(out, proto, first)
    else:
        write_fast(out, load_tokenizer(folder).bos_id)
    return Grown(
        first=first,
        ids=list(range(first, first + len(pieces))),
        pieces=texts,
        old=old,
        bare=bare,
        reserve=len(proto.pieces) - first - len(pieces),
    )


def _splice(folder: Path, out: Path, words: Counter[str], settings: VocabSettings) -> Grown:
    """Merges behind all that a byte-level tokenizer has."""
    model = ByteLevel(folder)
    first, known = model.size, {token.decode(errors="replace") for token in model.ids}
    chosen = ordered(learn(words, settings.wanted), known, first_syllables(words, settings))
    made = splice(model, [piece.replace(SPACE, " ") for piece in chosen], settings.wanted)
    model.write(out)
    return Grown(
        first=first,
        ids=[model.ids[text.encode()] for text in made],
        pieces=list(made),
        old=[one.old for one in made.values()],
        bare=[one.bare for one in made.values()],
        reserve=0,
    )
