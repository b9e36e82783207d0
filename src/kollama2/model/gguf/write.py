"""Writing: a model folder as one GGUF file, proved by reading it back.

Own code, because the converters that can be installed take the tokenizers of this project for
others: what transformers 5 saves of Llama 2's gets equal scores, and a vocabulary of its own is
refused. The format, its names and its numbers are the `gguf` library's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kollama2.errors import BadData
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.architectures import FAMILIES, FREQUENCIES, HEAD, TABLE, Family
from kollama2.model.gguf.describe import architecture_of, divisors_of, keys_of
from kollama2.model.gguf.kquants import MIXTURES, ggml, mixed, pack
from kollama2.model.gguf.vocabulary import tokenizer_keys
from kollama2.model.gguf.weights import heads_of, names_of, parts_of
from kollama2.model.weights import Weights, to_pair_layout

_FILE_TYPES = {
    "F32": 0, "F16": 1, "BF16": 32, "Q8_0": 7, "Q4_0": 2, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18,
}  # fmt: skip
KINDS = tuple(_FILE_TYPES)
"""How matrices can be stored; vectors stay in float32."""
_EXACT = ("F32", "F16", "BF16")


def write_gguf(folder: ModelFolder, path: Path, kind: str, about: dict[str, Any]) -> None:
    """Write whole weights, configuration, tokenizer and chat template as one file.

    Memory: the largest tensor, in float32 and packed.

    Args:
        folder: a folder with whole weights.
        path: the file.
        kind: one of `KINDS`. Q4_0 keeps the embeddings and the head in Q8_0, and rows that are no
            whole number of blocks stay in F16. Q4_K_M, Q5_K_M and Q6_K are `kquants`.
        about: `name`, `license` and `languages` of the model, where they are known.

    Raises:
        BadData: the architecture or its tokenizer has no form in GGUF.
        Missing: ggml's quantiser is not installed, and `kind` needs it.
    """
    import gguf
    import numpy as np

    if kind in MIXTURES:
        ggml()
    with Weights(folder.path) as weights:
        config = weights.config.get_text_config()
        tensors = dict(stored(weights, config))
        kinds = kinds_of(tensors, kind, config.num_hidden_layers)
        writer = gguf.GGUFWriter(path, architecture_of(config))
        writer.add_type("model")
        writer.add_file_type(_FILE_TYPES[kind])
        if kind not in _EXACT:
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        for name, value in about.items():
            _add(writer, f"general.{name}", value)
        for name, value in keys_of(config).items():
            _add(writer, f"{writer.arch}.{name}", value)
        rows = tensors[TABLE].shape[0]
        for name, value in tokenizer_keys(folder, rows).items():
            _add(writer, f"tokenizer.ggml.{name}", value)
        if folder.jinja:
            writer.add_chat_template(folder.jinja)
        for name, one in tensors.items():
            form = gguf.GGMLQuantizationType[kinds[name]]
            block, width = gguf.GGML_QUANT_SIZES[form]
            size = int(np.prod(one.shape)) // block * width
            writer.add_tensor_info(name, one.shape, np.dtype(np.float32), size, form)
        with closing(writer):
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for name, one in tensors.items():
                writer.write_tensor_data(_packed(name, one.get(), kinds[name]))


class Stored(NamedTuple):
    """A tensor as llama.cpp has it, read when it is asked for; the shape has rows first."""

    shape: tuple[int, ...]
    get: Callable[[], Tensor]


def stored(weights: Weights, config: Any) -> Iterator[tuple[str, Stored]]:
    """The tensors of a text model under llama.cpp's names, the embeddings first.

    Raises:
        BadData: one has no name there.
    """
    architecture = architecture_of(config)
    family = FAMILIES[architecture]
    # Beside these: a vision tower, or what transformers does not load.
    own = [name for name in weights.names if weights.body(name) or name in weights.tables]
    known = names_of(architecture, config, own)
    tied = {weights.tables.head} if config.tie_word_embeddings else set()
    if unnamed := [name for name in own if name not in known and name not in tied]:
        raise BadData(
            f"{weights.folder} holds {unnamed[0]}, which a {architecture} model of llama.cpp has "
            "not; export it with --to hf"
        )
    found = {theirs: name for name, theirs in known.items()}
    for theirs in sorted(found, key=_order):
        name = found[theirs]

        def get(name: str = name, theirs: str = theirs) -> Tensor:
            return _as_theirs(weights.get(name), theirs, family, config)

        yield theirs, Stored(weights.shape(name), get)
    divisors = divisors_of(config)
    if divisors is not None:
        table = torch.from_numpy(divisors).float()
        yield FREQUENCIES, Stored(tuple(table.shape), lambda: table)


def _order(name: str) -> tuple[int, int, str]:
    """The embeddings first, then the blocks, then what stands behind them."""
    if name.startswith("blk."):
        return 1, int(name.split(".")[1]), name
    return (0 if name == TABLE else 2), 0, name


def _as_theirs(tensor: Tensor, name: str, family: Family, config: Any) -> Tensor:
    """A tensor of transformers' as llama.cpp has it."""
    if family.shifted and name.endswith("norm.weight"):
        return tensor.float() + 1
    if family.paired and (heads := heads_of(name, config)):
        return to_pair_layout(tensor, heads)
    return tensor


def kinds_of(tensors: Mapping[str, Stored], kind: str, layers: int) -> dict[str, str]:
    """How each tensor is stored in a file of a kind, for a model of so many layers."""
    head = HEAD if HEAD in tensors else TABLE
    found = {}
    for name, one in tensors.items():
        width = one.shape[-1]
        if len(one.shape) == 1:
            found[name] = "F32"
        elif kind in _EXACT:
            found[name] = kind
        elif width % 32:
            found[name] = "F16"
        elif kind in MIXTURES:
            found[name] = mixed(name, width, kind, layers, table=name == head)
        else:
            found[name] = "Q8_0" if name in (TABLE, HEAD) else kind
    return found


def _packed(name: str, tensor: Tensor, kind: str) -> Any:
    import gguf
    import numpy as np

    parts = []
    for first, rows in parts_of(tensor):
        numbers = tensor[first : None if rows is None else first + rows].float().numpy()
        if kind == "F16" and np.abs(numbers).max(initial=0) > np.finfo(np.float16).max:
            raise BadData(f"{name} holds numbers that F16 cannot; take --type BF16 or F32")
        if kind.endswith("_K"):
            parts.append(pack(numbers, kind))
        else:
            parts.append(gguf.quants.quantize(numbers, gguf.GGMLQuantizationType[kind]))
    return np.concatenate(parts)


def _add(writer: Any, name: str, value: Any) -> None:
    import gguf

    types = gguf.GGUFValueType
    if isinstance(value, list):
        writer.add_array(name, value)
    else:
        # The library takes whole numbers for signed ones, as llama.cpp's own files never do.
        form = types.UINT32 if type(value) is int else types.get_type(value)
        writer.add_key_value(name, value, form)
