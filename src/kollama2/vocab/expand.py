"""Expand: new Hangul pieces behind the old ones of a SentencePiece tokenizer, alike everywhere.

SentencePiece and llama.cpp merge by score, transformers' own conversion by id, Meta's reference
counts rows: they agree when new pieces stand last, with strictly falling scores below the old ones.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.vocab.fast import write_fast
from kollama2.vocab.learn import SPACE, count_words, ksx1001, learn
from kollama2.vocab.settings import VocabSettings

EXPANSION = "expansion.json"
_NORMAL, _UNUSED = 1, 5
_SPARE = 1.25  # learned pieces for each that is wanted; some turn out unreachable


def expand(
    folder: Path, out: Path, texts: Iterable[str], settings: VocabSettings
) -> dict[str, Any]:
    """Write an expanded `tokenizer.model`, its `tokenizer.json` and `expansion.json`.

    Args:
        folder: holds the `tokenizer.model` to expand.
        out: an existing folder; the other files of the tokenizer are the caller's to copy.
        texts: what the new pieces are learned from.
        settings: how many pieces and which.

    Returns:
        What stands in `expansion.json` too, without the pieces.

    Raises:
        BadData: there is no SentencePiece BPE model, or the texts hold no Hangul.
    """
    proto = read_model(folder)
    old = [one.piece for one in proto.pieces]
    words = count_words(texts)
    learned = learn(words, round(settings.size * _SPARE))
    pieces = choose(learned, set(old), settings)
    append(proto, pieces, settings.multiple)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.model").write_bytes(proto.SerializeToString())
    write_fast(out)
    about = {
        "procedure": settings.procedure,
        "first": len(old),
        "new": len(pieces),
        "reserve": len(proto.pieces) - len(old) - len(pieces),
        "words": words.total(),
    }
    text = json.dumps({**about, "pieces": pieces}, ensure_ascii=False)
    (out / EXPANSION).write_text(text + "\n", encoding="utf-8")
    return about


def read_model(folder: Path) -> Any:
    """The protocol buffer of a folder's `tokenizer.model`.

    Raises:
        BadData: there is none, or it is not a SentencePiece BPE model.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    path = folder / "tokenizer.model"
    if not path.is_file():
        raise BadData(f"{folder} holds no tokenizer.model")
    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise BadData(f"{path} is not a SentencePiece model") from error
    if proto.trainer_spec.model_type != proto.trainer_spec.BPE:
        raise BadData(f"{path} is not a BPE model; pieces can be appended to those only")
    return proto


def choose(learned: list[str], known: set[str], settings: VocabSettings) -> list[str]:
    """New pieces in their order: syllables of KS X 1001, then what was learned.

    A syllable that a learned piece is made of comes before it, because some runtimes merge only
    what is a piece itself.
    """
    chosen = dict.fromkeys(_ordered(learned, known, settings))
    return list(chosen)[: settings.size]


def _ordered(learned: list[str], known: set[str], settings: VocabSettings) -> Iterator[str]:
    for syllable in ksx1001() if settings.syllables else ():
        if syllable not in known:
            yield syllable
    for piece in learned:
        if piece not in known:
            yield from (one for one in piece if one not in known and one != SPACE)
            yield piece


def append(proto: Any, pieces: list[str], multiple: int) -> None:
    """Add pieces to a model with falling scores, and reserve pieces up to a multiple."""
    # Pieces of white space alone have -1e9 in Llama 2, far below the others and first by id; new
    # pieces merge before them, like all old ones do.
    scores = [o.score for o in proto.pieces if o.type == _NORMAL and o.piece.strip(SPACE)]
    lowest = min(scores)
    for index, piece in enumerate(pieces):
        proto.pieces.add(piece=piece, score=lowest - 1 - index, type=_NORMAL)
    for index in range(-len(proto.pieces) % multiple):
        proto.pieces.add(piece=f"<reserve_{index}>", score=0.0, type=_UNUSED)
    proto.trainer_spec.vocab_size = len(proto.pieces)
