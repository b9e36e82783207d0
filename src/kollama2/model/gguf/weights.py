"""Weights: the tensors of a GGUF unpacked, under the names and in the order of transformers."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from kollama2.errors import BadData
from kollama2.model.files import CONFIG, write_json
from kollama2.model.gguf.architectures import FREQUENCIES, HEAD, Family, config_of, family_of
from kollama2.model.gguf.file import Gguf
from kollama2.model.stored import finite
from kollama2.model.weights import ShardWriter, to_half_layout

_NUMBERS = 1 << 24  # unpacked at once
_STORED = {"F32": torch.float32, "F16": torch.float16}


def stored_as(file: Gguf) -> torch.dtype:
    """The type of the unpacked weights: the file's own, bfloat16 for packed ones.

    What bfloat16 rounds away of a packed weight is a small part of what the packing took, and
    unlike float16 it is the type that every model of today can be trained and run in.
    """
    kinds = {kind for kind in file.kinds() if kind != "F32"} or {"F32"}
    return _STORED.get(kinds.pop(), torch.bfloat16) if len(kinds) == 1 else torch.bfloat16


def write_config(file: Gguf, out: Path) -> Any:
    """Write `config.json`.

    Args:
        file: the file.
        out: an existing folder.

    Returns:
        The model of the configuration, without memory for its weights.

    Raises:
        BadData: the file's architecture, or something that it says of it, is not read.
    """
    model = empty_model(config_of(file))
    dtype = str(stored_as(file)).split(".")[1]
    write_json(out / CONFIG, {**model.config.to_diff_dict(), "dtype": dtype})
    return model


def write_weights(file: Gguf, model: Any, out: Path) -> int:
    """Write safetensors; one tensor is unpacked at a time.

    Args:
        file: the file.
        model: as `write_config` returns it.
        out: an existing folder.

    Returns:
        How many parameters they are.

    Raises:
        BadData: the file lacks tensors of the model, or has others.
    """
    dtype, family = stored_as(file), family_of(file)
    names = _names(file, model)
    writer = ShardWriter(out)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    count = 0
    for name, theirs in names.items():
        tensor = tensor_of(file, theirs, dtype, family, model.config)
        if tuple(tensor.shape) != shapes[name]:
            raise BadData(
                f"{file.path}: {theirs} has the shape {list(tensor.shape)}, its keys ask for "
                f"{list(shapes[name])}"
            )
        count += tensor.numel()
        writer.add(name, tensor)
    writer.close()
    return count


def empty_model(config: Mapping[str, Any]) -> Any:
    """The model of a configuration without memory for its weights."""
    kind = config["model_type"]
    with torch.device("meta"):
        made = AutoConfig.for_model(kind, **{k: v for k, v in config.items() if k != "model_type"})
        model = AutoModelForCausalLM.from_config(made)
    model.config.architectures = [type(model).__name__]
    return model


def names_of(architecture: str, config: Any, names: Iterable[str]) -> dict[str, str]:
    """llama.cpp's names of a model's tensors; those that it has none for are left out.

    Args:
        architecture: as llama.cpp calls it.
        config: of the text model.
        names: as transformers has them, those of a text model inside a wrapper too.
    """
    import gguf

    number = next(one for one, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    known = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    found = {
        name: known.get_name(name.replace("language_model.", ""), (".weight", ".bias"))
        for name in names
    }
    tied = config.tie_word_embeddings
    return {a: str(b) for a, b in found.items() if b is not None and not (tied and b == HEAD)}


def _names(file: Gguf, model: Any) -> dict[str, str]:
    """The file's name of each tensor of a model.

    Raises:
        BadData: one is not in the file, or the file has others.
    """
    wanted = [
        name
        for name in model.state_dict()
        if not (model.config.tie_word_embeddings and name == "lm_head.weight")
    ]
    found = names_of(file.architecture, model.config, wanted)
    for name in wanted:
        if found.get(name) not in file.tensors:
            theirs = found.get(name, name)
            raise BadData(f"{file.path} lacks {theirs}, which its architecture has")
    others = sorted(file.tensors.keys() - found.values() - {FREQUENCIES})
    if others:
        raise BadData(
            f"{file.path} holds {len(others)} tensors that are not read, such as {others[0]}; take "
            "the model's folder in Hugging Face's form"
        )
    return found


def tensor_of(file: Gguf, name: str, dtype: torch.dtype, family: Family, config: Any) -> Tensor:
    """A tensor as transformers has it."""
    whole = torch.empty(file.tensors[name].shape, dtype=dtype)
    for first, rows in parts_of(whole):
        part = torch.from_numpy(file.numbers(name, first, rows).copy())
        if family.shifted and name.endswith("norm.weight"):
            part -= 1
        whole[first : first + len(part)] = part
    if not finite(whole):
        raise BadData(f"{file.path}: {name} holds NaN or infinities; download it again")
    if family.paired and (heads := heads_of(name, config)):
        return to_half_layout(whole, heads)
    return whole


def parts_of(whole: Tensor) -> Iterator[tuple[int, int | None]]:
    """The rows that are unpacked at once: where they begin, and how many."""
    if whole.dim() == 1:
        yield 0, None
        return
    step = max(1, _NUMBERS // whole[0].numel())
    for first in range(0, len(whole), step):
        yield first, min(step, len(whole) - first)


def heads_of(name: str, config: Any) -> int:
    """Of the queries or keys that a tensor makes; 0 for any other."""
    if ".attn_q." in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".attn_k." in name else 0
