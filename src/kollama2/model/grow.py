"""Grow: a model with other rows in its embeddings and head, for a larger or smaller tokenizer."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kollama2.errors import BadData
from kollama2.model.folder import ModelFolder
from kollama2.model.stored import opened
from kollama2.model.tables import tied


def tables(model: Any) -> tuple[Tensor, Tensor | None]:
    """The rows of the embeddings and of the head, None where it is tied."""
    embed = model.get_input_embeddings().weight.data
    return embed, None if tied(model) else model.get_output_embeddings().weight.data


def grow(
    model: Any, first: int, ids: list[int], embed: Tensor, head: Tensor | None, size: int
) -> None:
    """Give new rows to a model in memory; those that nobody has get the mean of the old ones.

    Args:
        model: a causal language model.
        first: id of the first new row, behind every token that there was. Old rows from there on
            were padding; tokens before it that have no row (Gemma 3's last one) get one.
        ids: of the new rows.
        embed: new rows of the embeddings, (new, hidden).
        head: new rows of the head, None where it is tied.
        size: tokens of the tokenizer; the model never shrinks.
    """
    old = tables(model)[0].shape[0]
    known = min(first, old)
    model.resize_token_embeddings(max(size, old), mean_resizing=False)
    with torch.no_grad():
        for table, new in zip(tables(model), (embed, head), strict=True):
            if table is None or new is None:
                continue
            table[known:] = table[:known].mean(0)
            table[ids] = new.to(table.dtype)


def gather(model: Any, ids: Sequence[int]) -> None:
    """Keep some rows of a model in memory, in rising order, and no others.

    Args:
        model: a causal language model.
        ids: of the rows; tokens that have none get the mean of those that do.

    Raises:
        BadData: it has other weights for each token than embeddings and head.
    """
    old = tables(model)[0].shape[0]
    head = model.get_output_embeddings()
    bias = getattr(head, "bias", None)
    for name, one in model.named_modules():
        many = isinstance(one, torch.nn.Embedding) and one.num_embeddings == old
        if many and one is not model.get_input_embeddings():
            raise BadData(f"{name} has a row for each token too, and such a model cannot shrink")
    kept = [i for i in ids if i < old]
    with torch.no_grad():
        for table in (*tables(model), bias):
            if table is not None:
                table[: len(kept)] = table[kept]
    model.resize_token_embeddings(len(kept), mean_resizing=False)
    none = torch.empty(0, tables(model)[0].shape[1])
    grow(model, len(ids), [], none, none, len(ids))


def weights_hash(folder: Path) -> str:
    """SHA-256 over names, shapes, types and bytes of all weights, however they are split in files.

    An adapter is known by the weights that it stands on and its own.
    """
    digest = hashlib.sha256()
    for place in dict.fromkeys((ModelFolder.read(folder).root.path, folder)):
        with opened(place) as files:
            for name in sorted(files):
                tensor = files[name].get(name).contiguous()
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
                digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
