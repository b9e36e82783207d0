"""Pickled weights of old folders (`pytorch_model.bin`) as safetensors; nothing else reads them.

`torch.load(weights_only=True)` builds tensors alone; a pickle that wants more is refused.
"""

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kollama2.errors import BadData
from kollama2.model.files import (
    CONFIG,
    GENERATION,
    PROCESSOR,
    TOKENIZER_FILES,
    copy_files,
    fresh,
    has_tokenizer,
    read_json,
)
from kollama2.model.load import model_class
from kollama2.model.reading import reading
from kollama2.model.sound import configuration
from kollama2.model.stored import finite
from kollama2.model.tokenizer import load_tokenizer
from kollama2.model.weights import ShardWriter

SINGLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def is_pickled(folder: Path) -> bool:
    """Whether a model folder has weights, and only in pickles."""
    there = (folder / SINGLE).is_file() or (folder / INDEX).is_file()
    return there and not any(folder.glob("*.safetensors"))


def from_pickle(folder: Path, out: Path) -> dict[str, Any]:
    """Write a folder of pickled weights as safetensors, each tensor as it is; the rest is copied.

    Args:
        folder: with `pytorch_model.bin`, or its index and shards.
        out: the folder to write; what is there is replaced.

    Returns:
        `parameters`, how many there are.

    Raises:
        BadData: the folder is no causal language model, its tokenizer is none, or a file is not
            there or holds more than tensors.
    """
    ties = model_class(folder)._tied_weights_keys or {}
    config = configuration(folder)
    if has_tokenizer(folder):
        load_tokenizer(folder)
    fresh(out)
    copy_files(folder, out, (CONFIG, GENERATION, *PROCESSOR, *TOKENIZER_FILES))
    writer, count = ShardWriter(out), 0
    for path in _files(folder):
        for name, tensor in _tensors(path).items():
            if config.tie_word_embeddings and name in ties:
                continue  # the embeddings once more
            if tensor.dim() and not finite(tensor):
                raise BadData(f"{path}: {name} holds NaN or infinities; fetch it again")
            writer.add(name, tensor.clone())  # a part of a larger storage would be refused
            count += tensor.numel()
    writer.close()
    return {"parameters": count}


def _files(folder: Path) -> list[Path]:
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    named = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    for name in named:
        if Path(name).name != name or not (folder / name).is_file():
            raise BadData(f"{folder / INDEX} names {name}, which is not in the folder")
    return [folder / name for name in named]


def _tensors(path: Path) -> dict[str, Tensor]:
    with reading(path, "is no file of tensors alone"):
        mapped = zipfile.is_zipfile(path)  # files of before torch 1.6 are none
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadData(f"{path} holds something else than tensors by name")
    return state
