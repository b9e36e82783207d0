"""Import of llama2.c's tokenizer.bin: the same ids from SentencePiece and from transformers.

The file holds pieces and scores only; a SentencePiece model is made of it.
"""

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

from kollama2.errors import BadData, storage

_SPECIAL = ["<unk>", "<s>", "</s>"]
_FIRST_BYTE = len(_SPECIAL)
FIRST_TEXT = _FIRST_BYTE + 256


class Piece(NamedTuple):
    """One entry of a tokenizer.bin, spelled as SentencePiece spells it."""

    text: str
    score: float


def read(path: Path, vocab: int) -> list[Piece]:
    """Read the pieces and scores of a tokenizer.bin.

    Args:
        path: the file.
        vocab: how many pieces the checkpoint's header says there are; the file does not say it.

    Returns:
        The pieces by id, with SentencePiece's `▁` for the space.

    Raises:
        BadData: the file is not exactly `vocab` pieces, or they are not <unk>, <s>, </s>, the 256
            bytes and then distinct text pieces.
        Denied, StorageTrouble: the file cannot be read.
    """
    with storage(path):
        data = path.read_bytes()
    if not data:
        raise BadData(f"{path} is empty; fetch it again")
    pieces: list[Piece] = []
    try:
        (longest,) = struct.unpack_from("<i", data)
        at = 4
        while at < len(data):
            score, length = struct.unpack_from("<fi", data, at)
            at += 8
            if not 0 < length <= longest or at + length > len(data) or not math.isfinite(score):
                raise BadData(
                    f"{path} is not a whole llama2.c tokenizer: piece {len(pieces)} has score"
                    f" {score:g} and length {length} (longest by the header: {longest});"
                    " fetch it again"
                )
            text = data[at : at + length].decode()
            pieces.append(Piece(text.replace(" ", "▁"), score))
            at += length
    except (struct.error, UnicodeDecodeError) as error:
        raise BadData(
            f"{path} is not a whole llama2.c tokenizer: it breaks off or turns to noise after"
            f" {len(pieces)} pieces; fetch it again"
        ) from error
    if len(pieces) != vocab:
        raise BadData(
            f"{path} has {len(pieces)} pieces, but the checkpoint's header says {vocab}:"
            " give the tokenizer.bin that belongs to the checkpoint"
        )
    return _check(path, pieces)


def sentencepiece_model(pieces: list[Piece]) -> bytes:
    """Build the SentencePiece BPE model that encodes as llama2.c does.

    Like llama2.c it puts a space in front of the text, keeps repeated spaces, changes no
    character, and falls back to bytes.

    Args:
        pieces: all pieces by id, as `read` returns them.

    Returns:
        The serialised model, the content of a `tokenizer.model`.
    """
    from sentencepiece import sentencepiece_model_pb2 as pb

    kinds = pb.ModelProto.SentencePiece
    model = pb.ModelProto()
    for id_, piece in enumerate(pieces):
        kind = kinds.NORMAL
        if id_ == 0:
            kind = kinds.UNKNOWN
        elif id_ < _FIRST_BYTE:
            kind = kinds.CONTROL
        elif id_ < FIRST_TEXT:
            kind = kinds.BYTE
        model.pieces.add(piece=piece.text, score=piece.score, type=kind)
    trainer = model.trainer_spec
    trainer.model_type = pb.TrainerSpec.BPE
    trainer.vocab_size = len(pieces)
    trainer.byte_fallback = True
    trainer.split_digits = True
    trainer.allow_whitespace_only_pieces = True
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, 1, 2, -1
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = True
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    return bytes(model.SerializeToString())


def config(max_length: int) -> dict[str, Any]:
    """Return the content of `tokenizer_config.json`.

    Args:
        max_length: the model's longest sequence in tokens.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
    }


def _check(path: Path, pieces: list[Piece]) -> list[Piece]:
    """Check the fixed ids and give <s> and </s> back their plain spelling."""
    special = [piece.text.strip("\n") for piece in pieces[:_FIRST_BYTE]]
    if special != _SPECIAL:
        raise BadData(
            f"{path} must begin with {', '.join(_SPECIAL)}, but begins with {', '.join(special)};"
            " give a tokenizer.bin of a Llama-like model"
        )
    for byte, piece in enumerate(pieces[_FIRST_BYTE:FIRST_TEXT]):
        if piece.text != f"<0x{byte:02X}>":
            raise BadData(
                f"{path}: piece {byte + _FIRST_BYTE} must be the byte <0x{byte:02X}>, but is"
                f" {piece.text!r}; only tokenizers with byte fallback can be imported"
            )
    plain = [Piece(text, piece.score) for text, piece in zip(_SPECIAL, pieces, strict=False)]
    plain += pieces[_FIRST_BYTE:]
    if len({piece.text for piece in plain}) != len(plain):
        raise BadData(f"{path} holds the same piece twice; it is damaged, fetch it again")
    return plain
