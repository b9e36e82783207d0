"""Rebuild: the SentencePiece model that a `tokenizer.json` was made from.

transformers 5 saves a Llama 2 tokenizer as that file alone. What it lacks are scores; the order of
its merges is all that they are good for.
"""

import re
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.fast import of_characters, read_fast, spaces_last
from kollama2.model.files import FAST, TOKENIZER_CONFIG, read_json
from kollama2.model.pieces import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    read_pieces,
)
from kollama2.model.tokenizer import load_tokenizer, reads_pieces

_BYTE = re.compile("<0x[0-9A-F]{2}>")
_LAST, _APART = 1 << 30, 128  # a score has 24 bits


def pieces_or_rebuilt(folder: Path) -> Any:
    """The SentencePiece model that gives the ids of a folder, as a protocol buffer.

    Raises:
        BadData: the folder's tokenizer is not SentencePiece's BPE.
    """
    return read_pieces(folder) if reads_pieces(folder) else rebuilt(folder)


def is_sentencepiece(folder: Path) -> bool:
    """Whether a folder's tokenizer is SentencePiece's, in whichever file, or joins bytes.

    Raises:
        BadData: it has none, or one that does not merge pairs.
    """
    return reads_pieces(folder) or of_characters(folder)


def rebuilt(folder: Path) -> Any:
    """The SentencePiece model of a `tokenizer.json`: a piece's score is the place of its merge.

    Raises:
        BadData: the file names no unknown token, which every such model has.
    """
    from sentencepiece import sentencepiece_model_pb2

    model, added = read_fast(folder)["model"], added_tokens(folder)
    unknown = model.get("unk_token") or _name(folder, "unk") or "<unk>"
    names = {i: name for name, i in model["vocab"].items()}
    names |= {one.id: name for name, one in added.items()}
    if unknown not in names.values():
        raise BadData(f"{folder / FAST} names no unk_token; add it to {TOKENIZER_CONFIG}")
    ranks, last = dict[str, int](), spaces_last(model["merges"])
    for rank, (left, right) in enumerate(model["merges"]):
        # New pieces shall merge before white space that merges last of all, as in Llama 2.
        ranks.setdefault(left + right, rank if rank < last else _LAST + _APART * rank)

    proto = sentencepiece_model_pb2.ModelProto()
    for i in range(1 + max(names)):
        name = names.get(i, f"<unused_{i}>")
        if name == unknown:
            kind = UNKNOWN
        elif name in added:
            kind = CONTROL if added[name].special else USER_DEFINED
        elif i not in names:
            kind = UNUSED
        else:
            kind = BYTE if _BYTE.fullmatch(name) else NORMAL
        # A piece that nothing merges into is a single character, or never given.
        score = -float(ranks.get(name, last)) if kind == NORMAL else 0.0
        proto.pieces.add(piece=name, score=score, type=kind)
    spec = proto.trainer_spec
    spec.model_type, spec.byte_fallback = spec.BPE, True
    spec.vocab_size, spec.unk_piece = len(proto.pieces), unknown
    ids = {name: i for i, name in names.items()}
    spec.unk_id, spec.pad_id = ids[unknown], -1
    spec.bos_piece = _name(folder, "bos") or "<s>"
    spec.eos_piece = _name(folder, "eos") or "</s>"
    spec.bos_id, spec.eos_id = ids.get(spec.bos_piece, -1), ids.get(spec.eos_piece, -1)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = load_tokenizer(folder).dummy_prefix
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto


def _name(folder: Path, kind: str) -> str | None:
    """The token of a kind that a folder's settings name."""
    name = read_json(folder / TOKENIZER_CONFIG).get(f"{kind}_token")
    return name.get("content") if isinstance(name, dict) else name
