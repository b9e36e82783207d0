"""Small GGUF files, written with the gguf library as llama.cpp's converter writes them."""

import base64
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import sentencepiece.sentencepiece_model_pb2 as pieces
import torch
from safetensors.torch import load_file

Kind = gguf.GGMLQuantizationType
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def sentencepiece_keys(folder: Path) -> dict[str, Any]:
    """The tokenizer of a folder with a `tokenizer.model`."""
    proto = pieces.ModelProto.FromString((folder / "tokenizer.model").read_bytes())
    return {
        "model": "llama",
        "tokens": [one.piece for one in proto.pieces],
        "scores": [one.score for one in proto.pieces],
        "token_type": [int(one.type) for one in proto.pieces],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }


def byte_keys(folder: Path, pre: str) -> dict[str, Any]:
    """The tokenizer of a folder with a byte-level `tokenizer.json`."""
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = {one["id"]: one["content"] for one in tree["added_tokens"]}
    names = {i: name for name, i in tree["model"]["vocab"].items()} | added
    ids = {name: i for i, name in added.items()}
    return {
        "model": "gpt2",
        "pre": pre,
        "tokens": [names[i] for i in range(len(names))],
        "token_type": [CONTROL if i in added else NORMAL for i in range(len(names))],
        "merges": [m if isinstance(m, str) else " ".join(m) for m in tree["model"]["merges"]],
        "bos_token_id": ids["<|begin_of_text|>"],
        "eos_token_id": ids["<|end_of_text|>"],
    }


def write(
    path: Path,
    architecture: str,
    keys: dict[str, Any],
    tokenizer: dict[str, Any],
    tensors: dict[str, np.ndarray] | None = None,
    kind: Kind = Kind.F32,
    **more: Any,
) -> Path:
    """Write one file.

    Args:
        path: the file.
        architecture: its name.
        keys: what it says, without the architecture's name in front.
        tokenizer: the same for `tokenizer.ggml`; a key None is left out.
        tensors: by their names in the file.
        kind: what matrices are packed as.
        more: further keys, by their whole names with `__` for the dots.
    """
    writer = gguf.GGUFWriter(path, architecture)
    every = {f"{architecture}.{name}": value for name, value in keys.items()}
    every |= {f"tokenizer.ggml.{name}": value for name, value in tokenizer.items()}
    every |= {name.replace("__", "."): value for name, value in more.items()}
    for name, value in every.items():
        if isinstance(value, list):
            writer.add_array(name, value)
        elif value is not None:
            writer.add_key_value(name, value, _type(value))
    for name, tensor in (tensors or {}).items():
        if tensor.ndim == 1 or kind == Kind.F32:
            writer.add_tensor(name, tensor.astype(np.float32))
        else:
            packed = gguf.quants.quantize(tensor.astype(np.float32), kind)
            writer.add_tensor(name, packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiktoken(token: bytes) -> str:
    """A token as tiktoken's files spell it."""
    return base64.b64encode(token).decode()


def _type(value: Any) -> Any:
    types = gguf.GGUFValueType
    for kind, name in ((bool, types.BOOL), (int, types.UINT32), (float, types.FLOAT32)):
        if isinstance(value, kind):
            return name
    return types.STRING


def tensors_of(folder: Path, architecture: str, *, heads: tuple[int, int] | None = None) -> dict:
    """The weights of a model folder under llama.cpp's names.

    Args:
        folder: with `model.safetensors`.
        architecture: whose names.
        heads: of queries and of keys, where their rows are to stand in pairs.
    """
    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    known = gguf.get_tensor_name_map(number, 16)
    found = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        theirs = known.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs is not None, name
        if heads and (".attn_q." in theirs or ".attn_k." in theirs):
            tensor = _paired(tensor, heads[0] if ".attn_q." in theirs else heads[1])
        if architecture.startswith("gemma") and theirs.endswith("norm.weight"):
            tensor = tensor + 1
        found[theirs] = tensor.float().numpy()
    return found


def _paired(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """The halves of each head, as transformers has them, row by row beside each other."""
    half = len(tensor) // heads // 2
    order = [
        h * 2 * half + i + part * half for h in range(heads) for i in range(half) for part in (0, 1)
    ]
    return tensor[order]


LLAMA = {
    "block_count": 2,
    "context_length": 512,
    "embedding_length": 64,
    "feed_forward_length": 128,
    "attention.head_count": 4,
    "attention.head_count_kv": 4,
    "attention.layer_norm_rms_epsilon": 1e-6,
    "rope.dimension_count": 16,
    "vocab_size": 384,
}
"""What the file of `tiny.write_model` says."""


def tiny_llama(path: Path, folder: Path, kind: Kind = Kind.F32, **changes: Any) -> Path:
    """The tiny model as a file; `changes` are keys of the tokenizer, None leaves one out."""
    tokenizer = {**sentencepiece_keys(folder), **changes}
    return write(path, "llama", LLAMA, tokenizer, tensors_of(folder, "llama", heads=(4, 4)), kind)
