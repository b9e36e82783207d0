"""Rebuild: the SentencePiece model that a `tokenizer.json` was made from.

transformers 5 saves a Llama 2 tokenizer as that file alone. What it lacks are scores; the order of
its merges is all that they are good for.
"""

import re
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens, token_named
from kollama2.model.fast import of_characters, read_fast, spaces_last
from kollama2.model.files import FAST, TOKENIZER_CONFIG, read_json
from kollama2.model.pieces import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    new_proto,
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
    model, added = read_fast(folder)["model"], added_tokens(folder)
    settings = read_json(folder / TOKENIZER_CONFIG)
    unknown = model.get("unk_token") or token_named(settings, "unk") or "<unk>"
    names = {i: name for name, i in model["vocab"].items()}
    names |= {one.id: name for name, one in added.items()}
    ids = {name: i for i, name in names.items()}
    if unknown not in ids:
        raise BadData(f"{folder / FAST} names no unk_token; add it to {TOKENIZER_CONFIG}")
    ranks, last = dict[str, int](), spaces_last(model["merges"])
    for rank, (left, right) in enumerate(model["merges"]):
        # New pieces shall merge before white space that merges last of all, as in Llama 2.
        ranks.setdefault(left + right, rank if rank < last else _LAST + _APART * rank)
    pieces = []
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
        pieces.append((name, -float(ranks.get(name, last)) if kind == NORMAL else 0.0, kind))
    return new_proto(
        pieces,
        unknown=ids[unknown],
        bos=ids.get(token_named(settings, "bos") or "<s>"),
        eos=ids.get(token_named(settings, "eos") or "</s>"),
        prefix=load_tokenizer(folder).dummy_prefix,
    )
