"""Turn a llama2.c checkpoint (legacy or version 1) with its tokenizer.bin into a model folder.

    python scripts/llama2c.py model.bin tokenizer.bin OUT

Both files are plain little-endian dumps. Weights are float32; the query and key rows follow Meta's
layout, so they are re-ordered (`model.weights.to_half_layout`). The format stores neither the
epsilon of norms nor the base of the rotary embedding; they are Llama 2's in every llama2.c model.
The tokenizer's file holds pieces and scores only; a SentencePiece model is made of it.
"""

import argparse
import math
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kollama2.engine.commit import committing, write_json
from kollama2.errors import BadData, Fault, StorageTrouble, storage, storage_fault
from kollama2.llama.args import ModelArgs
from kollama2.model.card import Card
from kollama2.model.files import CONFIG, GENERATION, PIECES, TOKENIZER_CONFIG
from kollama2.model.folder import ModelFolder
from kollama2.model.handover import hand_over
from kollama2.model.pieces import BYTE, CONTROL, NORMAL, UNKNOWN, new_proto
from kollama2.model.weights import to_half_layout

Weights = dict[str, npt.NDArray[np.float32]]

_MAGIC = 0x616B3432  # "ak42" read as a little-endian integer
_V1_HEADER_BYTES = 256
_FLOAT_BYTES = 4
_SPECIAL = ["<unk>", "<s>", "</s>"]
_FIRST_BYTE = len(_SPECIAL)
_FIRST_TEXT = _FIRST_BYTE + 256


class Shape(NamedTuple):
    """The numbers of a checkpoint's header."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int
    max_length: int
    shared_classifier: bool

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


def convert(checkpoint: Path, tokenizer: Path, out: Path) -> dict[str, Any]:
    """Turn a llama2.c checkpoint and its tokenizer.bin into a Hugging Face Llama folder.

    Nothing is written before both files have been read and checked to the last byte. Memory: about
    the checkpoint's size, because the weights are written as one file.

    Args:
        checkpoint: a legacy or version 1 `.bin` file with float32 weights.
        tokenizer: the `tokenizer.bin` that belongs to it.
        out: the folder to make; it appears whole, with a manifest, or not at all.

    Returns:
        What was imported: `format` ("legacy" or "v1"), `parameters` and the header's numbers.

    Raises:
        BadData: a file is empty, truncated, too long, or its header cannot be meant.
        StorageTrouble: a file cannot be read, or the folder exists or cannot be written.
        Denied, TryLater: the folder's place is read-only or full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    layout, shape, weights = read_checkpoint(checkpoint)
    pieces = read_tokenizer(tokenizer, shape.vocab)
    about = {"format": layout, "parameters": sum(w.size for w in weights.values())}
    about |= shape._asdict()
    texts = {
        CONFIG: _model_config(shape),
        GENERATION: {"bos_token_id": 1, "eos_token_id": 2},
        TOKENIZER_CONFIG: tokenizer_config(shape.max_length),
    }
    with committing(out) as folder, storage(out):
        try:
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        except SafetensorError as error:
            fault = storage_fault(error, out)
            raise fault or StorageTrouble(f"{out} cannot be written: {error}") from error
        model = sentencepiece_model(pieces)
        (folder / PIECES).write_bytes(model)
        for name, value in texts.items():
            write_json(folder / name, value, durable=False)
        card = Card(template="plain", recipe={"llama2c": about})
        hand_over(folder, ModelFolder(folder, card), card)
    return about


def read_checkpoint(path: Path) -> tuple[str, Shape, Weights]:
    """Layout, header and float32 tensors with Hugging Face's names, linear ones (outputs, inputs).

    Raises:
        BadData: the file is not exactly what its header says, or a weight is not finite.
        Denied, StorageTrouble: the file cannot be read.
    """
    with storage(path), path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(_V1_HEADER_BYTES)
    if not head:
        raise BadData(f"{path} is empty; fetch it again")
    if head[:4] == struct.pack("<I", _MAGIC):
        layout, shape, start = "v1", _read_v1_header(path, head), _V1_HEADER_BYTES
    else:
        layout, shape, start = "legacy", _read_legacy_header(path, head), 28
    parts = _parts(layout, shape)
    expected = start + _FLOAT_BYTES * sum(math.prod(part) for _, part in parts)
    if size != expected:
        raise BadData(
            f"{path} has {size:,} bytes, but the {layout} llama2.c header in it asks for"
            f" {expected:,}: the file is truncated or of another kind; fetch it again"
        )
    flat = np.memmap(path, dtype="<f4", mode="r", offset=start)
    raw: Weights = {}
    begin = 0
    for name, part in parts:
        end = begin + math.prod(part)
        raw[name] = np.asarray(flat[begin:end]).reshape(part)
        if not np.isfinite(raw[name]).all():
            raise BadData(f"{path} holds NaN or infinity in {name}; it cannot be used as a model")
        begin = end
    return layout, shape, _to_hugging_face(raw, shape)


def _read_v1_header(path: Path, head: bytes) -> Shape:
    if len(head) < _V1_HEADER_BYTES:
        raise BadData(
            f"{path} is truncated: {len(head)} bytes are less than the"
            f" {_V1_HEADER_BYTES}-byte header of a llama2.c checkpoint; fetch it again"
        )
    _, version, *numbers = struct.unpack_from("<I8i", head)
    shared, rest = head[36], head[37:]
    if version != 1:
        raise BadData(
            f"{path} is a llama2.c checkpoint of version {version}; only float32 files can be"
            " imported: the legacy format and version 1 (export again with --version 1)"
        )
    if shared not in (0, 1) or any(rest):
        raise BadData(
            f"{path}: the header's shared-classifier byte is {shared} or its padding is not zero;"
            " the file is damaged, fetch it again"
        )
    return _check_shape(path, Shape._make([*numbers, shared == 1]))


def _read_legacy_header(path: Path, head: bytes) -> Shape:
    try:
        numbers = list(struct.unpack_from("<7i", head))
    except struct.error as error:
        raise BadData(
            f"{path} is truncated: {len(head)} bytes are less than the 28-byte header"
            " of a llama2.c checkpoint; fetch it again"
        ) from error
    # A negative vocabulary size is the format's way to say that the classifier is separate.
    shared = numbers[5] > 0
    numbers[5] = abs(numbers[5])
    return _check_shape(path, Shape._make([*numbers, shared]))


def _check_shape(path: Path, shape: Shape) -> Shape:
    numbers = zip(shape._fields, shape[:7], strict=False)
    wrong = [f"{name} = {value}" for name, value in numbers if value <= 0]
    if not wrong and (shape.dim % shape.heads or shape.head_size % 2):
        wrong = [f"dim = {shape.dim} for {shape.heads} heads of even size"]
    if not wrong and shape.heads % shape.kv_heads:
        wrong = [f"{shape.heads} heads for {shape.kv_heads} key-value heads"]
    if not wrong and shape.vocab < _FIRST_TEXT:
        wrong = [f"vocab = {shape.vocab}, fewer than the special and byte pieces"]
    if wrong:
        raise BadData(
            f"{path} is not a llama2.c checkpoint: it has neither the magic number ak42 with a"
            f" sound header nor a sound legacy header ({', '.join(wrong)})"
        )
    return shape


def _parts(layout: str, s: Shape) -> list[tuple[str, tuple[int, ...]]]:
    """List the float arrays of a file in their order, each with its shape."""
    kv_dim = s.kv_heads * s.head_size
    embedding = ("tok_embeddings", (s.vocab, s.dim))
    attention_norm = ("attention_norm", (s.layers, s.dim))
    attention = [
        ("wq", (s.layers, s.dim, s.dim)),
        ("wk", (s.layers, kv_dim, s.dim)),
        ("wv", (s.layers, kv_dim, s.dim)),
        ("wo", (s.layers, s.dim, s.dim)),
    ]
    ffn_norm = ("ffn_norm", (s.layers, s.dim))
    ffn = [
        ("w1", (s.layers, s.hidden_dim, s.dim)),
        ("w2", (s.layers, s.dim, s.hidden_dim)),
        ("w3", (s.layers, s.hidden_dim, s.dim)),
    ]
    norm = ("norm", (s.dim,))
    classifier = [] if s.shared_classifier else [("output", (s.vocab, s.dim))]
    if layout == "v1":
        return [attention_norm, ffn_norm, norm, embedding, *attention, *ffn, *classifier]
    # Cosines and sines that today's code computes itself.
    tables = [(name, (s.max_length, s.head_size // 2)) for name in ("rope_cos", "rope_sin")]
    return [embedding, attention_norm, *attention, ffn_norm, *ffn, norm, *tables, *classifier]


def _to_hugging_face(raw: Weights, shape: Shape) -> Weights:
    weights = {
        "model.embed_tokens.weight": raw["tok_embeddings"],
        "model.norm.weight": raw["norm"],
    }
    if not shape.shared_classifier:
        weights["lm_head.weight"] = raw["output"]
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        weights[layer + "input_layernorm.weight"] = raw["attention_norm"][i]
        weights[layer + "self_attn.q_proj.weight"] = _half_layout(raw["wq"][i], shape.heads)
        weights[layer + "self_attn.k_proj.weight"] = _half_layout(raw["wk"][i], shape.kv_heads)
        weights[layer + "self_attn.v_proj.weight"] = raw["wv"][i]
        weights[layer + "self_attn.o_proj.weight"] = raw["wo"][i]
        weights[layer + "post_attention_layernorm.weight"] = raw["ffn_norm"][i]
        weights[layer + "mlp.gate_proj.weight"] = raw["w1"][i]
        weights[layer + "mlp.down_proj.weight"] = raw["w2"][i]
        weights[layer + "mlp.up_proj.weight"] = raw["w3"][i]
    return weights


def _half_layout(rows: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(to_half_layout(rows, heads))


def _model_config(shape: Shape) -> dict[str, Any]:
    args = ModelArgs(shape.dim, shape.layers, shape.heads, shape.kv_heads)
    return {
        **args.config(shape.vocab, "float32"),
        "intermediate_size": shape.hidden_dim,
        "max_position_embeddings": shape.max_length,
        "tie_word_embeddings": shape.shared_classifier,
    }


class Piece(NamedTuple):
    """One entry of a tokenizer.bin, spelled as SentencePiece spells it."""

    text: str
    score: float


def read_tokenizer(path: Path, vocab: int) -> list[Piece]:
    """The pieces of a tokenizer.bin by id, of which the checkpoint's header says how many.

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
    return _check_pieces(path, pieces)


def sentencepiece_model(pieces: list[Piece]) -> bytes:
    """The serialised SentencePiece BPE model that encodes as llama2.c does.

    Like llama2.c it puts a space in front of the text, keeps repeated spaces, changes no
    character, and falls back to bytes.
    """
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256]
    kinds += [NORMAL] * (len(pieces) - len(kinds))
    listed = ((one.text, one.score, kind) for one, kind in zip(pieces, kinds, strict=True))
    model = new_proto(listed, unknown=0, bos=1, eos=2, prefix=True)
    return bytes(model.SerializeToString())


def tokenizer_config(max_length: int) -> dict[str, Any]:
    """The content of `tokenizer_config.json`; the length is in tokens."""
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


def _check_pieces(path: Path, pieces: list[Piece]) -> list[Piece]:
    """Check the fixed ids and give <s> and </s> back their plain spelling."""
    special = [piece.text.strip("\n") for piece in pieces[:_FIRST_BYTE]]
    if special != _SPECIAL:
        raise BadData(
            f"{path} must begin with {', '.join(_SPECIAL)}, but begins with {', '.join(special)};"
            " give a tokenizer.bin of a Llama-like model"
        )
    for byte, piece in enumerate(pieces[_FIRST_BYTE:_FIRST_TEXT]):
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


def main() -> None:
    """Read the arguments and convert."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        about = convert(given.checkpoint, given.tokenizer, given.out)
    except Fault as fault:
        print(f"llama2c: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)
    print(f"{given.out}: {about['parameters']:,} parameters", file=sys.stderr)


if __name__ == "__main__":
    main()
