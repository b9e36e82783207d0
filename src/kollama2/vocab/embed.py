"""Embed: the first rows of new pieces in the embeddings and in the head.

A piece begins as a mixture of the old tokens that it replaces. Hangul falls to bytes on most
English tokenizers, so the plain mean of subtokens gives one vector to every permutation of the same
bytes (1,012 of 16,497 Korean pieces on Llama 2); weights by position keep all of them apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kollama2.vocab.settings import InitSettings


@dataclass(frozen=True)
class Rows:
    """Rows of new pieces, (pieces, hidden) each; `head` is None where it is tied."""

    embed: Tensor
    head: Tensor | None


def start(
    embed: Tensor,
    head: Tensor | None,
    old: Sequence[Sequence[int]],
    bare: Sequence[Sequence[int]],
    settings: InitSettings,
) -> Rows:
    """The first rows of new pieces.

    Args:
        embed: rows of the old tokens, (tokens, hidden).
        head: rows of the head, or None where it is tied to the embeddings.
        old: the old ids that each piece stands for.
        bare: the same without the space that begins a word.
        settings: which init, and the seed of those that draw.
    """
    generator = torch.Generator().manual_seed(settings.seed)

    def rows(table: Tensor, *, output: bool) -> Tensor:
        match settings.init:
            case "random":
                return _drawn(table, len(old), generator)
            case "mean":
                return table.mean(0).repeat(len(old), 1)
            case "mean_noise":
                noise = torch.randn(len(old), table.shape[1], generator=generator)
                return table.mean(0) + noise / math.sqrt(table.shape[1])
            case "subtoken_mean":
                return _mixed(table, old, [[1.0] * len(ids) for ids in old])
            case "eeve":
                if output:
                    return table[torch.tensor([ids[0] for ids in bare])]
                return _mixed(table, bare, [[1.0] * len(ids) for ids in bare])
            case "weighted_mean":
                return _rescaled(
                    _mixed(table, bare, [_weights(ids, output) for ids in bare]), table
                )

    return Rows(
        embed=rows(embed, output=False), head=None if head is None else rows(head, output=True)
    )


def _weights(ids: Sequence[int], output: bool) -> list[float]:
    """Rising for the input, whose last token was nearest to what follows; falling for the head."""
    rising = [float(i + 1) for i in range(len(ids))]
    return rising[::-1] if output else rising


def _mixed(
    table: Tensor, ids: Sequence[Sequence[int]], weights: Sequence[Sequence[float]]
) -> Tensor:
    bag = torch.tensor([i for one in ids for i in one])
    share = torch.tensor([w / sum(one) for one in weights for w in one])
    ends = torch.tensor([0, *map(len, ids)]).cumsum(0)[:-1]
    rows: Tensor = torch.nn.functional.embedding_bag(
        bag, table.float(), ends, mode="sum", per_sample_weights=share
    )
    return rows


def _rescaled(rows: Tensor, table: Tensor) -> Tensor:
    """Rows as long as the median old one: a mean of several is shorter than each of them."""
    wanted = torch.linalg.vector_norm(table.float(), dim=1).median()
    rescaled: Tensor = torch.nn.functional.normalize(rows, dim=1) * wanted
    return rescaled


def _drawn(table: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws from the normal distribution with mean and covariance of the old rows (Hewitt 2021)."""
    values, vectors = torch.linalg.eigh(torch.cov(table.double().T))
    root = (vectors * values.clamp_min(0).sqrt()).float()
    noise = torch.randn(count, table.shape[1], generator=generator)
    rows: Tensor = table.float().mean(0) + noise @ root.T
    return rows


def collisions(rows: Tensor) -> int:
    """How many rows equal an earlier one."""
    return int(rows.shape[0] - torch.unique(rows, dim=0).shape[0])
