"""SentencePiece models: their file as a protocol buffer, and the same tokenizer for transformers.

Programs that convert a bare `tokenizer.model` themselves may order its merges by id; Llama 2's
pieces of white space alone have the lowest score in spite of their low ids, so that such programs
(transformers 5 among them) encode indented text differently.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, storage
from kollama2.model.added import Added, added_tokens
from kollama2.model.files import FAST, PIECES, write_json

# The types of pieces in SentencePiece's model file.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "▁"
LLAMA_SETTINGS = {
    "tokenizer_class": "LlamaTokenizer",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "add_bos_token": True,
    "add_eos_token": False,
    "legacy": False,
}
"""What `tokenizer_config.json` says beside a model of Llama 2's kind."""


def read_pieces(folder: Path) -> Any:
    """The protocol buffer of a folder's `tokenizer.model`.

    Raises:
        BadData: there is none, or it is not a SentencePiece BPE model, the only kind with merges.
    """
    path = folder / PIECES
    if not path.is_file():
        raise BadData(f"{folder} holds no {PIECES}")
    proto = read_proto(path)
    if proto.trainer_spec.model_type != proto.trainer_spec.BPE:
        raise BadData(f"{path} is not a BPE model; only those have merges")
    return proto


def read_proto(path: Path) -> Any:
    """The protocol buffer of a SentencePiece model of any kind.

    Raises:
        BadData: it is none.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    with storage(path):
        content = path.read_bytes()
    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(content)
    except DecodeError as error:
        raise BadData(f"{path} is not a SentencePiece model") from error
    if not proto.pieces:
        raise BadData(f"{path} is a SentencePiece model without pieces")
    return proto


def new_proto(
    pieces: Iterable[tuple[str, float, int]],
    *,
    unknown: int,
    bos: int | None,
    eos: int | None,
    prefix: bool,
) -> Any:
    """The protocol buffer of a BPE model with byte fallback that changes no text.

    Args:
        pieces: text, score and type of each, by id.
        unknown: id of the unknown token.
        bos: id of the token that begins texts, if there is one.
        eos: id of the token that ends texts, if there is one.
        prefix: whether texts begin with a space of the tokenizer's own.
    """
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    for piece, score, kind in pieces:
        proto.pieces.add(piece=piece, score=score, type=kind)
    spec, normalizer = proto.trainer_spec, proto.normalizer_spec
    spec.model_type, spec.byte_fallback = spec.BPE, True
    spec.vocab_size = len(proto.pieces)
    for part, i in ("unk", unknown), ("bos", bos), ("eos", eos), ("pad", None):
        setattr(spec, f"{part}_id", -1 if i is None else i)
        if i is not None:
            setattr(spec, f"{part}_piece", proto.pieces[i].piece)
    normalizer.name, normalizer.remove_extra_whitespaces = "identity", False
    normalizer.add_dummy_prefix = prefix
    return proto


def write_pieces(proto: Any, folder: Path) -> None:
    """Write a protocol buffer as the `tokenizer.model` of a folder."""
    (folder / PIECES).write_bytes(proto.SerializeToString())


def processor(model: Any) -> Any:
    """SentencePiece's own encoder of a model: its file, or its protocol buffer."""
    import sentencepiece

    if isinstance(model, Path):
        return sentencepiece.SentencePieceProcessor(model_file=str(model))
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def write_fast(folder: str | Path, bos: int | None = None) -> Path:
    """Write `tokenizer.json` beside the `tokenizer.model` of a folder, for transformers and others.

    A merge ranks by the score of the piece that it makes, as in SentencePiece's own encoder. Every
    text begins with a space of the tokenizer's own and keeps its leading spaces, text after a
    control token too: so SentencePiece encodes turn by turn, and llama.cpp. transformers' class
    LlamaTokenizer builds another pipeline from the file, which does neither. Tokens that the folder
    adds to the model keep their ids and what is said of them.

    Args:
        folder: holds the model; the file is written there.
        bos: the id that the tokenizer puts before a text, if any.

    Returns:
        The file.

    Raises:
        BadData: there is no SentencePiece BPE model in the folder, or it changes texts before it
            encodes them.
    """
    proto = read_pieces(Path(folder))
    changes = proto.normalizer_spec
    if changes.precompiled_charsmap or changes.remove_extra_whitespaces:
        raise BadData(
            f"{Path(folder) / PIECES} changes texts before it encodes them; keep to {PIECES}"
        )
    return save_fast(_fast(proto, bos, added_tokens(Path(folder))), Path(folder))


def _fast(proto: Any, bos: int | None, added: Mapping[str, Added]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    # Tokens that are wanted whole are found in the text before its spaces are turned.
    vocab = {_found(one): i for i, one in enumerate(proto.pieces)}
    vocab |= {name: one.id for name, one in added.items() if one.id >= len(proto.pieces)}
    named = {kind: [_found(o) for o in proto.pieces if o.type == kind] for kind in range(1, 7)}
    fast = Tokenizer(
        models.BPE(
            vocab,
            merges_of(proto, vocab),
            unk_token=named[UNKNOWN][0],
            fuse_unk=True,
            byte_fallback=proto.trainer_spec.byte_fallback,
        )
    )
    prefix = proto.normalizer_spec.add_dummy_prefix
    steps = [normalizers.Prepend(SPACE)] if prefix else []
    fast.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    fast.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", int(prefix), 0),
        ]
    )
    if bos is not None:
        put_in_front(fast, proto.pieces[bos].piece, bos)
    kinds = dict.fromkeys(named[USER_DEFINED], False)
    kinds |= dict.fromkeys(named[UNKNOWN] + named[CONTROL], True)
    kinds |= {name: one.special for name, one in added.items() if name in vocab}
    for name in sorted(kinds, key=vocab.__getitem__):
        flags = {"normalized": False, **(added[name].flags if name in added else {})}
        fast.add_tokens([AddedToken(name, special=kinds[name], **flags)])
    return fast


def put_in_front(fast: Any, name: str, bos: int) -> None:
    """Let a tokenizer of the tokenizers library begin every text with BOS."""
    from tokenizers import processors

    fast.post_processor = processors.TemplateProcessing(
        single=f"{name} $A", pair=f"{name} $A {name} $B", special_tokens=[(name, bos)]
    )


def save_fast(fast: Any, folder: Path) -> Path:
    """Write a tokenizer of the tokenizers library as the `tokenizer.json` of a folder."""
    return write_tree(folder, json.loads(fast.to_str()))


def write_tree(folder: Path, tree: dict[str, Any]) -> Path:
    """Write a tree as the `tokenizer.json` of a folder."""
    write_json(folder / FAST, tree, indent=None)
    return folder / FAST


def _found(one: Any) -> str:
    text: str = one.piece
    return text.replace(SPACE, " ") if one.type == USER_DEFINED else text


def merges_of(proto: Any, vocab: dict[str, int]) -> list[tuple[str, str]]:
    """All pairs that make a piece of a model, in the order of the scores of what they make."""
    scores = {one.piece: one.score for one in proto.pieces if one.type == NORMAL}
    merges = [
        (-score, vocab[piece], piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return [(left, right) for _, _, left, right in sorted(merges)]
