"""The weights of a model folder, one tensor at a time, and the tokens that its rows belong to."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers.core_model_loading import revert_weight_conversion

from kollama2.model.files import ADAPTER_CONFIG, INDEX, SINGLE, readable, write_json
from kollama2.model.folder import ModelFolder
from kollama2.model.load import check, model_class, whole
from kollama2.model.stored import Opened, opened
from kollama2.model.tables import tensor_names
from kollama2.model.tokenizer import tokens

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
        self.tokens, self.special = tokens(ModelFolder.read(folder).tokenizer_path)
        self._loaded: dict[str, Tensor] = {}
        self._files: dict[str, Opened] = {}
        if (folder / ADAPTER_CONFIG).is_file():
            network = whole(folder, "float32")
            self.config = network.config
            self._loaded = file_state(network)
            shapes = {name: list(tensor.shape) for name, tensor in self._loaded.items()}
            self.tables = tensor_names(shapes, type(network))
            return
        self.config = check(folder)
        self._files = self.enter_context(opened(folder))
        shapes = {name: file.shape(name) for name, file in self._files.items()}
        self.tables = tensor_names(shapes, model_class(folder))

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._loaded or self._files)

    def __contains__(self, name: str) -> bool:
        return name in (self._loaded or self._files) or name == self.tables.head

    def body(self, name: str) -> bool:
        """Whether a tensor is of the language model's body: no table, and nothing around it.

        A vision tower, and what transformers does not load, lie elsewhere than the embeddings.
        """
        inside = self.tables.embed.removesuffix(self.tables.embed.rsplit(".", 2)[-2] + ".weight")
        return name not in self.tables and name.startswith(inside)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which is not read for it."""
        if name in self._files:
            return tuple(self._files[name].shape(name))
        return tuple(self.get(name).shape)

    def get(self, name: str) -> Tensor:
        """A tensor as stored; the head of a tied model is its embeddings."""
        if name == self.tables.head and name not in (self._loaded or self._files):
            name = self.tables.embed
        if self._loaded:
            return self._loaded[name]
        return self._files[name].get(name)


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
        save_file(self._held, path, metadata={"format": "pt"})
        readable(path)
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
