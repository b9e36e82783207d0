"""The weights of a model folder, one tensor at a time, and the tokens that its rows belong to."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers.core_model_loading import revert_weight_conversion

from kollama2.model.files import INDEX, SINGLE, write_json
from kollama2.model.folder import ModelFolder, is_adapter
from kollama2.model.load import check, model_class, whole
from kollama2.model.stored import opened
from kollama2.model.tables import tensor_names

_SHARD_BYTES = 4 << 30


def file_state(model: Any) -> dict[str, Tensor]:
    """The weights of a model in memory under the names of its files, a tied one once.

    transformers renames tensors as it loads them, and joins those of experts.
    """
    state = model.state_dict()
    # Those of the class too: a growth ties what transformers had not, as the values differed.
    ties = {**(model._tied_weights_keys or {}), **model.all_tied_weights_keys}
    for name, other in ties.items():
        if {name, other} <= state.keys() and state[name].data_ptr() == state[other].data_ptr():
            del state[name]
    return dict(revert_weight_conversion(model, state))


def to_half_layout(rows: Tensor, heads: int) -> Tensor:
    """Re-order each head's rows from pairs (2i, 2i+1) to pairs (i, i + half).

    Meta's and llama.cpp's queries and keys turn neighbouring rows together; Hugging Face's Llama
    turns row i with row i + head_dim/2 (RoFormer, arXiv 2104.09864, equation 34).
    """
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def to_pair_layout(rows: Tensor, heads: int) -> Tensor:
    """Undo `to_half_layout`."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


class Weights(ExitStack):
    """Tensors of a folder by name, read when they are asked for; an adapter is merged in memory.

    Attributes:
        folder: the model folder.
        tokens: id of each token.
        special: ids of control tokens.
        config: the transformers configuration.
        tables: the names of the embeddings and of the head.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        tokenizer = ModelFolder.read(folder).tokenizer
        self.tokens = tokenizer.vocabulary()
        self.special = tuple(sorted(tokenizer.special.values()))
        if is_adapter(folder):
            network = whole(folder, "float32")
            self.config, kind, state = network.config, type(network), file_state(network)
            self._read: Callable[[str], Tensor] = state.__getitem__
            self._shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        else:
            self.config, kind = check(folder), model_class(folder)
            files = self.enter_context(opened(folder))
            self._read = lambda name: files[name].get(name)
            self._shapes = {name: tuple(file.shape(name)) for name, file in files.items()}
        self.tables = tensor_names(self._shapes, kind)

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._shapes)

    def __contains__(self, name: str) -> bool:
        return name in self._shapes or name == self.tables.head

    def body(self, name: str) -> bool:
        """Whether a tensor is of the language model's body: no table, and nothing around it.

        A vision tower, and what transformers does not load, lie elsewhere than the embeddings.
        """
        inside = self.tables.embed.removesuffix(self.tables.embed.rsplit(".", 2)[-2] + ".weight")
        return name not in self.tables and name.startswith(inside)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which is not read for it."""
        return self._shapes[self._stored(name)]

    def get(self, name: str) -> Tensor:
        """A tensor as stored; the head of a tied model is its embeddings."""
        return self._read(self._stored(name))

    def _stored(self, name: str) -> str:
        tied = name == self.tables.head and name not in self._shapes
        return self.tables.embed if tied else name


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file with the mode any new file gets; 0600 shuts a server's user out."""
    save_file(tensors, path, metadata={"format": "pt"})
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


class ShardWriter:
    """Writes tensors to safetensors files of at most 4 GB, with an index for several."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._held: dict[str, Tensor] = {}
        self._bytes = 0
        self._shards: list[list[str]] = []
        self._total = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Write a tensor, sooner or later."""
        size = tensor.numel() * tensor.element_size()
        if self._held and self._bytes + size > _SHARD_BYTES:
            self._flush()
        self._held[name] = tensor.contiguous()
        self._bytes += size
        self._total += size

    def _flush(self) -> None:
        path = self.out / f"shard-{len(self._shards)}.safetensors"
        save_tensors(self._held, path)
        self._shards.append(list(self._held))
        self._held, self._bytes = {}, 0

    def close(self) -> None:
        """Write what is left, under the names that transformers expects."""
        self._flush()
        count, where = len(self._shards), {}
        for number, names in enumerate(self._shards):
            file = SINGLE
            if count > 1:
                file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            (self.out / f"shard-{number}.safetensors").rename(self.out / file)
            where.update(dict.fromkeys(names, file))
        if count > 1:
            index = {"metadata": {"total_size": self._total}, "weight_map": where}
            write_json(self.out / INDEX, index)
