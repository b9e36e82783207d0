"""The weights of a model folder, one tensor at a time, and the tokens that its rows belong to."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from kollama2.errors import BadUsage
from kollama2.train.load import check, root, whole
from kollama2.train.merging.settings import SHAPE

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TABLES = (EMBED, HEAD)
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
        self.tokens, self.special = tokens(folder)
        self._loaded: dict[str, Tensor] = {}
        self._files: dict[str, Any] = {}
        if (folder / "adapter_config.json").is_file():
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


def tokens(folder: Path) -> tuple[dict[str, int], tuple[int, ...]]:
    """The id of every token of a folder's tokenizer, and the ids of its control tokens."""
    if (folder / "tokenizer.json").is_file():
        raw = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        vocab = raw["model"]["vocab"]
        if isinstance(vocab, dict):
            ids = {str(piece): int(at) for piece, at in vocab.items()}
        else:
            ids = {str(piece): at for at, (piece, _) in enumerate(vocab)}
        added = raw.get("added_tokens", [])
        ids |= {one["content"]: int(one["id"]) for one in added}
        return ids, tuple(sorted(int(one["id"]) for one in added if one.get("special")))
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    ids = {model.id_to_piece(at): at for at in range(model.vocab_size())}
    special = tuple(at for at in ids.values() if model.is_control(at) or model.is_unknown(at))
    return ids, special


def same_shape(folders: Sequence[Path]) -> None:
    """Refuse models that are not of one architecture; reads their configurations alone.

    Raises:
        BadUsage: says which value of which model differs.
    """
    first, *others = ((folder, check(root(folder))) for folder in folders)
    for folder, config in others:
        for name in SHAPE:
            ours, theirs = (getattr(one, name, None) for one in (first[1], config))
            if ours != theirs:
                raise BadUsage(
                    f"{folder} has {name} {theirs} and {first[0]} has {ours}; only models of one "
                    "architecture can be merged"
                )


def shared_rows(ours: Weights, other: Weights) -> tuple[Tensor, Tensor] | None:
    """Rows of the tables that mean the same token: ids of ours and of the other.

    None where both have one vocabulary, so that the tables are aligned as they are.
    """
    sizes = {model.get(EMBED).shape[0] for model in (ours, other)}
    if ours.tokens == other.tokens and len(sizes) == 1:
        return None
    pairs = [
        (at, other.tokens[piece]) for piece, at in ours.tokens.items() if piece in other.tokens
    ]
    if not pairs:
        raise BadUsage(f"{ours.folder} and {other.folder} share no token; they cannot be merged")
    mine, theirs = zip(*sorted(pairs), strict=True)
    return torch.tensor(mine), torch.tensor(theirs)


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
            text = json.dumps(index, indent=1, sort_keys=True) + "\n"
            (self.out / "model.safetensors.index.json").write_text(text, encoding="utf-8")
