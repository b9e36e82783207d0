"""Meta's checkpoints: `consolidated.NN.pth` with `params.json`, in any number of shards.

Each shard holds a slice of every matrix. Query and key rows follow the reference's layout, so they
are re-ordered (`model.weights.to_half_layout`).
"""

import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from kollama2.errors import BadData, storage
from kollama2.llama.args import ModelArgs
from kollama2.llama.faults import Unmet
from kollama2.model.reading import reading
from kollama2.model.stored import finite
from kollama2.model.weights import to_half_layout

ROPE = "rope.freqs"  # a table that every program computes itself; Meta's files hold it all the same


class Parameter(NamedTuple):
    """One tensor of a model in both forms.

    Attributes:
        meta: its name in Meta's files.
        hugging_face: its name in Hugging Face's form.
        shape: of the whole.
        split: the dimension that shards divide; None where each shard holds all of it.
        heads: heads whose rows are in rotary order; 0 for other tensors.
    """

    meta: str
    hugging_face: str
    shape: tuple[int, ...]
    split: int | None
    heads: int = 0

    def sliced(self, whole: torch.Tensor, shard: int, shards: int) -> torch.Tensor:
        """The slice of one shard."""
        return whole if self.split is None else whole.chunk(shards, self.split)[shard]


def parameters(args: ModelArgs, vocab: int) -> Iterator[Parameter]:
    """List the tensors of a model, in the order of its layers."""
    dim, hidden, kv = args.dim, args.hidden_dim, args.kv_heads * args.head_dim
    yield Parameter("tok_embeddings.weight", "model.embed_tokens.weight", (vocab, dim), 1)
    for i in range(args.n_layers):
        ours, theirs = f"layers.{i}.", f"model.layers.{i}."
        attention = [
            ("wq", "q_proj", (dim, dim), 0, args.n_heads),
            ("wk", "k_proj", (kv, dim), 0, args.kv_heads),
            ("wv", "v_proj", (kv, dim), 0, 0),
            ("wo", "o_proj", (dim, dim), 1, 0),
        ]
        for a, b, shape, split, heads in attention:
            yield Parameter(
                f"{ours}attention.{a}.weight", f"{theirs}self_attn.{b}.weight", shape, split, heads
            )
        feed_forward = [
            ("w1", "gate_proj", (hidden, dim), 0),
            ("w2", "down_proj", (dim, hidden), 1),
            ("w3", "up_proj", (hidden, dim), 0),
        ]
        for a, b, shape, split in feed_forward:
            yield Parameter(
                f"{ours}feed_forward.{a}.weight", f"{theirs}mlp.{b}.weight", shape, split
            )
        for a, b in (
            ("attention_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
        ):
            yield Parameter(f"{ours}{a}.weight", f"{theirs}{b}.weight", (dim,), None)
    yield Parameter("norm.weight", "model.norm.weight", (dim,), None)
    yield Parameter("output.weight", "lm_head.weight", (vocab, dim), 0)


def shard_files(folder: Path) -> list[Path]:
    """The checkpoint's files in order.

    Raises:
        Unmet: there are none.
        BadData: their numbers have a gap.
    """
    with storage(folder):
        files = sorted(folder.glob("*.pth"))
    if not files:
        raise Unmet(f"no checkpoint files found in {folder}; name the folder with consolidated.*")
    numbers = [int(m[1]) for file in files if (m := re.fullmatch(r"\D*(\d+)", file.stem))]
    if len(numbers) != len(files) or numbers != list(range(len(files))):
        names = ", ".join(file.name for file in files)
        raise BadData(f"{folder} does not hold consolidated.00.pth and on without a gap: {names}")
    return files


class Shards:
    """An opened checkpoint: whole tensors from the slices of its files, one at a time.

    Files are mapped, not read, so that memory holds little more than the tensor that is asked for.

    Args:
        files: what `shard_files` found.
        args: the checkpoint's `params.json`.

    Raises:
        BadData: a file is damaged, holds anything but tensors, or is not of this model.
    """

    def __init__(self, files: list[Path], args: ModelArgs) -> None:
        self.files, self.args = files, args
        self._shards = [_load(file) for file in files]
        first = self._shards[0].get("tok_embeddings.weight")
        self.vocab = 0 if first is None or first.ndim != 2 else int(first.shape[0])
        if args.n_layers > len(self._shards[0]):
            raise BadData(
                f"{files[0]} holds {len(self._shards[0])} tensors, params.json asks for "
                f"{args.n_layers:,} layers: it is the params.json of another model"
            )
        self.parts = list(parameters(args, self.vocab))
        for file, shard in zip(files, self._shards, strict=True):
            self._check(file, shard)
        self.dtype = str(self._shards[0]["norm.weight"].dtype).removeprefix("torch.")

    @property
    def rope(self) -> list[float] | None:
        """The stored rotary table, so that the way back can write the same bits."""
        table = self._shards[0].get(ROPE)
        return None if table is None else [float(x) for x in table.flatten()]

    def hugging_face(self, part: Parameter) -> torch.Tensor:
        """The whole tensor in Hugging Face's layout."""
        slices = [shard[part.meta] for shard in self._shards]
        whole = slices[0] if part.split is None else torch.cat(slices, part.split)
        if not finite(whole):
            raise BadData(f"{self.files[0].parent}: {part.meta} holds NaN or infinities")
        return (to_half_layout(whole, part.heads) if part.heads else whole).contiguous()

    def _check(self, file: Path, shard: dict[str, torch.Tensor]) -> None:
        expected = {part.meta: part for part in self.parts}
        if missing := [name for name in expected if name not in shard]:
            raise BadData(f"{file} lacks {len(missing)} tensors of its model, such as {missing[0]}")
        if extra := [name for name in shard if name not in expected and name != ROPE]:
            raise BadData(
                f"{file} holds {len(extra)} tensors that params.json does not account for, such "
                f"as {extra[0]}: they do not belong together"
            )
        count = len(self.files)
        for name, part in expected.items():
            wanted = list(part.shape)
            if part.split is not None:
                if wanted[part.split] % count:
                    raise BadData(f"{name} of size {wanted} cannot lie in {count} shards")
                wanted[part.split] //= count
            if list(shard[name].shape) != wanted:
                raise BadData(
                    f"{file}: {name} has the shape {list(shard[name].shape)}, params.json asks for "
                    f"{wanted} in {count} shards: it is the params.json of another model"
                )


def _load(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file; its pickle may name nothing but tensors and containers."""
    with storage(path), path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped and not zipfile.is_zipfile(path):
        raise BadData(f"{path} is truncated; fetch it again")
    with reading(path, "is damaged or truncated; fetch it again"):
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
        except pickle.UnpicklingError as error:
            raise BadData(
                f"{path} is no file of tensors, or holds code beside them; it was not executed. "
                "Fetch the checkpoint from its author again"
            ) from error
    if not isinstance(found, dict) or not found:
        raise BadData(f"{path} holds no named tensors")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise BadData(f"{path}: {name!r} is no tensor")
        if not tensor.is_floating_point():
            raise BadData(f"{path}: {name} holds {tensor.dtype}; quantised files are not read")
    return found
