"""Conversion between Meta's and Hugging Face's form, both ways and without changing a bit."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError

from kollama2.engine.commit import committing, write_json
from kollama2.errors import BadData, BadUsage, StorageTrouble, storage, storage_fault
from kollama2.llama import checklist
from kollama2.llama.args import ModelArgs, params_of, read_params
from kollama2.llama.meta import ROPE, Parameter, Shards, parameters, shard_files
from kollama2.model.card import Card, read_card
from kollama2.model.files import (
    CONFIG,
    GENERATION,
    PIECES,
    TOKENIZER_CONFIG,
    has_tokenizer,
)
from kollama2.model.folder import ModelFolder
from kollama2.model.handover import hand_over
from kollama2.model.kept import fingerprint, made_once, need_space, place
from kollama2.model.load import check, root
from kollama2.model.pieces import LLAMA_SETTINGS
from kollama2.model.stored import opened
from kollama2.model.weights import ShardWriter, to_pair_layout


def is_meta(folder: Path) -> bool:
    """Whether a folder is a checkpoint in Meta's form."""
    return (folder / "params.json").is_file() or any(folder.glob("*.pth"))


def cached(folder: Path) -> Path:
    """Return a checkpoint of Meta's as a Hugging Face folder, converted at its first use.

    It lies inside the checkpoint's folder, or below the folder that the environment variable
    KOLLAMA2_CACHE names, or below ~/.cache/kollama2 where the checkpoint's may not be written.
    A changed checkpoint is converted anew.

    Raises:
        Fault: as `to_hugging_face`; Corrupt where the cached folder was damaged since.
    """
    files = shard_files(folder)
    read_params(folder / "params.json")
    name = f"safetensors-{fingerprint([*files, folder / 'params.json'])}"
    return made_once(place(folder, name), lambda out: to_hugging_face(folder, out))


def to_hugging_face(folder: Path, out: Path, tokenizer: Path | None = None) -> dict[str, Any]:
    """Write a checkpoint of Meta's as a Hugging Face folder.

    The MD5 sums of a `checklist.chk` are verified first. Memory: the file mappings and 4 GiB.

    Args:
        folder: `consolidated.NN.pth` and `params.json`.
        out: the folder to make; it appears whole, with a manifest, or not at all.
        tokenizer: the `tokenizer.model` to put beside the weights.

    Returns:
        `parameters`, `shards` and `dtype`.

    Raises:
        Corrupt: a file differs from its MD5 sum.
        BadData: files are damaged or do not belong together.
        TryLater, Denied, StorageTrouble: the folder cannot be written.
    """
    args = read_params(folder / "params.json")
    files = shard_files(folder)
    if (folder / checklist.NAME).is_file():
        checklist.verify(folder)
    shards = Shards(files, args)
    need_space(out, sum(file.stat().st_size for file in files))
    params = json.loads((folder / "params.json").read_text(encoding="utf-8"))
    meta = {"params": params, "shards": len(files), "rope": shards.rope}
    with committing(out) as partial, storage(out):
        if tokenizer is not None:
            _write_tokenizer(tokenizer, shards.vocab, partial)
        try:
            writer = ShardWriter(partial)
            for part in shards.parts:
                writer.add(part.hugging_face, shards.hugging_face(part))
            writer.close()
        except SafetensorError as error:
            fault = storage_fault(error, out)
            raise fault or StorageTrouble(f"{out} cannot be written: {error}") from error
        write_json(partial / CONFIG, args.config(shards.vocab, shards.dtype), durable=False)
        write_json(
            partial / GENERATION,
            {"bos_token_id": 1, "eos_token_id": 2},
            durable=False,
        )
        card = Card(template="llama2", recipe={"meta": meta})
        hand_over(partial, ModelFolder(partial, card), card)
    count = sum(torch.Size(part.shape).numel() for part in shards.parts)
    return {"parameters": count, "shards": len(files), "dtype": shards.dtype}


def _write_tokenizer(tokenizer: Path, vocab: int, out: Path) -> None:
    from kollama2.llama.tokenizer import Tokenizer

    read = Tokenizer(tokenizer)
    if read.n_words != vocab:
        raise BadData(
            f"{tokenizer} has {read.n_words} tokens but the checkpoint has {vocab} embeddings; "
            "give the tokenizer.model that belongs to it"
        )
    shutil.copyfile(tokenizer, out / PIECES)
    write_json(out / TOKENIZER_CONFIG, LLAMA_SETTINGS, durable=False)


def to_meta(folder: Path, out: Path, shards: int = 1) -> dict[str, Any]:
    """Write a Hugging Face Llama as a checkpoint in Meta's form.

    Args:
        folder: whole weights of a Llama (an adapter must be merged first).
        out: the folder to make; it appears whole, with MD5 sums and a manifest, or not at all.
        shards: how many files; it must divide heads, key-value heads and widths.

    Returns:
        `parameters`, `shards` and `dtype`.

    Raises:
        BadUsage: the folder is an adapter, or the number of shards does not divide the model.
        BadData: it is not a Llama that Meta's form can hold, or its tokenizer is none.
        TryLater, Denied, StorageTrouble: the folder cannot be written.
    """
    form = check_meta(folder, shards)
    with committing(out) as partial:
        return write_meta(form, partial, shards)


def write_meta(form: "MetaForm", out: Path, shards: int) -> dict[str, Any]:
    """Write what `check_meta` found fit into a folder that is there; else as `to_meta`."""
    listed, dtype, folder = form.parts, form.dtype, form.folder
    numbers = sum(torch.Size(part.shape).numel() for part in listed)
    need_space(out, numbers * dtype.itemsize)
    with storage(out):
        names = [f"consolidated.{number:02d}.pth" for number in range(shards)]
        for number, name in enumerate(names):
            shard = {
                part.meta: part.sliced(form.tensor(part), number, shards).clone() for part in listed
            }
            if form.rope is not None:
                shard[ROPE] = torch.tensor(form.rope, dtype=dtype)
            with (out / name).open("wb") as file:  # torch's own does not say what went wrong
                torch.save(shard, file)
        write_json(out / "params.json", form.params, durable=False)
        sums = {name: checklist.md5(out / name) for name in [*names, "params.json"]}
        (out / checklist.NAME).write_text(checklist.text(sums), encoding="utf-8")
        if (folder / PIECES).is_file():
            shutil.copyfile(folder / PIECES, out / PIECES)
    return {
        "parameters": numbers,
        "shards": shards,
        "dtype": str(dtype).removeprefix("torch."),
    }


class MetaForm(NamedTuple):
    """How a Hugging Face Llama is written in Meta's form.

    Attributes:
        folder: where it lies.
        parts: its tensors.
        params: its `params.json`.
        rope: its rotary table, where it came from Meta with one.
        paths: the file of each tensor, by its name in Hugging Face's form.
        dtype: what the first tensor is stored in.
    """

    folder: Path
    parts: list[Parameter]
    params: dict[str, Any]
    rope: list[float] | None
    paths: dict[str, Path]
    dtype: torch.dtype

    def tensor(self, part: Parameter) -> torch.Tensor:
        """A tensor in Meta's layout; only the file that it lies in is opened."""
        name = part.hugging_face
        with opened(self.folder, [self.paths[name]]) as files:
            whole = files[name].get(name)
        return to_pair_layout(whole, part.heads) if part.heads else whole


def check_meta(folder: Path, shards: int = 1) -> MetaForm:
    """Whether Meta's form can hold a Hugging Face folder; nothing is written.

    Args:
        folder: as of `to_meta`.
        shards: as of `to_meta`.

    Raises:
        BadUsage, BadData: as `to_meta`.
    """
    if root(folder) != folder:
        raise BadUsage(f"{folder} is an adapter; merge it first (kollama2 adapt writes it merged)")
    if has_tokenizer(folder) and not (folder / PIECES).is_file():
        raise BadData(
            f"{folder} holds no {PIECES}, and Meta's form has no other tokenizer; its own would be "
            "lost"
        )
    config = check(folder)
    args, params, rope = _described(folder, config)
    if shards < 1 or any(n % shards for n in (args.n_heads, args.kv_heads, args.hidden_dim)):
        raise BadUsage(
            f"{shards} shards do not divide {args.n_heads} heads, {args.kv_heads} key-value heads "
            f"and {args.hidden_dim} feed-forward units"
        )
    listed = list(parameters(args, config.vocab_size))
    if config.tie_word_embeddings:
        listed[-1] = listed[-1]._replace(hugging_face=listed[0].hugging_face)
    paths, dtype = _stored(folder, listed)
    return MetaForm(folder, listed, params, rope, paths, dtype)


def _described(folder: Path, config: Any) -> tuple[ModelArgs, dict[str, Any], list[float] | None]:
    """Numbers, params.json and rotary table; those of the original where it came from Meta."""
    if config.model_type != "llama" or config.attention_bias or config.mlp_bias:
        raise BadData(f"{folder} is not a Llama without biases; Meta's form holds only those")
    rotary = config.rope_parameters or {}
    if rotary.get("rope_type", "default") != "default":
        raise BadData(f"{folder} scales its rotary embedding, which Meta's Llama 2 cannot")
    params = params_of(config, float(rotary.get("rope_theta", 10000.0)))
    meta = read_card(folder).recipe.get("meta", {})
    known = {k for k in params if k in ("dim", "n_heads", "n_layers", "n_kv_heads")}
    if all(meta.get("params", {}).get(k) == params[k] for k in known):
        original = ModelArgs(**meta["params"])
        if original.hidden_dim == config.intermediate_size:
            return original, meta["params"], meta.get("rope")
    return ModelArgs(**params), params, None


def _stored(folder: Path, listed: list[Parameter]) -> tuple[dict[str, Path], torch.dtype]:
    """The files of a folder's tensors, and what the first is stored in.

    Raises:
        BadData: there are others, or of other shapes or numbers.
    """
    wanted = {part.hugging_face: part for part in listed}
    with opened(folder) as files:
        paths = {name: file.path for name, file in files.items()}
        shapes = {name: file.shape(name) for name, file in files.items()}
        floating = {name: kind for name, file in files.items() if (kind := file.dtype(name))}
    ignored = {name for name in shapes if name.endswith("rotary_emb.inv_freq")}
    ignored |= {"lm_head.weight"}  # of a tied model, which holds it twice
    if missing := sorted(wanted.keys() - shapes.keys()):
        raise BadData(f"{folder} lacks {len(missing)} weights, such as {missing[0]}")
    if extra := sorted(shapes.keys() - wanted.keys() - ignored):
        raise BadData(
            f"{folder} holds {len(extra)} weights that a Llama 2 does not have, such as {extra[0]}"
        )
    for name, part in wanted.items():
        if tuple(shapes[name]) != part.shape:
            raise BadData(
                f"{folder}: {name} has the shape {shapes[name]}, its config.json "
                f"asks for {list(part.shape)}"
            )
        if name not in floating:
            raise BadData(f"{folder} holds {name} in numbers that are not floating")
    return paths, floating[listed[0].hugging_face]
