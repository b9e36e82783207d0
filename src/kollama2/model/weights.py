"""The weights of a model folder, one tensor at a time, and the tokens that its rows belong to."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from kollama2.model.files import ADAPTER_CONFIG, write_json
from kollama2.model.folder import ModelFolder
from kollama2.model.load import check, whole
from kollama2.model.tokenizer import tokens

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TABLES = (EMBED, HEAD)
INDEX = "model.safetensors.index.json"
_SHARD_BYTES = 4 << 30


class Weights(ExitStack):
    """Tensors of a folder by name, read when they are asked for; an adapter is merged in memory.

    Attributes:
        folder: the model folder.
        tokens: id of each token.
        special: ids of control tokens.
        config: the transformers configuration.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.tokens, self.special = tokens(ModelFolder.read(folder).tokenizer_path)
        self._loaded: dict[str, Tensor] = {}
        self._files: dict[str, Any] = {}
        if (folder / ADAPTER_CONFIG).is_file():
            network = whole(folder, "float32")
            self.config = network.config
            self._loaded = dict(network.state_dict())
            if self.config.tie_word_embeddings:
                self._loaded.pop(HEAD, None)
            return
        self.config = check(folder)
        for path in sorted(folder.glob("*.safetensors")):
            opened = self.enter_context(safe_open(path, framework="pt"))
            self._files.update(dict.fromkeys(opened.keys(), opened))

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._loaded or self._files)

    def get(self, name: str) -> Tensor:
        """A tensor as stored; the head of a tied model is its embeddings."""
        if name == HEAD and name not in (self._loaded or self._files):
            name = EMBED
        if self._loaded:
            return self._loaded[name]
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor


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
        path.chmod(0o644)
        self._shards.append(list(self._held))
        self._held, self._bytes = {}, 0

    def close(self) -> None:
        """Write what is left, under the names that transformers expects."""
        self._flush()
        count, where = len(self._shards), {}
        for number, names in enumerate(self._shards):
            file = "model.safetensors"
            if count > 1:
                file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            (self.out / f"shard-{number}.safetensors").rename(self.out / file)
            where.update(dict.fromkeys(names, file))
        if count > 1:
            index = {"metadata": {"total_size": self._total}, "weight_map": where}
            write_json(self.out / INDEX, index)
