"""Embed: the first rows of new pieces in the embeddings and in the head.

A piece begins as a mixture of the old tokens that it replaces. Hangul falls to bytes on most
English tokenizers, so the plain mean of subtokens gives one vector to every permutation of the same
bytes (1,012 of 16,497 Korean pieces on Llama 2); weights by position keep all of them apart.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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
    aligned: Sequence[Mapping[int, int]] | None = None,
) -> Rows:
    """The first rows of new pieces.

    The head of a tied model is its embeddings, so the formula of the embeddings decides both.

    Args:
        embed: rows of the old tokens, (tokens, hidden).
        head: rows of the head, or None where it is tied to the embeddings.
        old: the old ids that each piece stands for.
        bare: the same without the space that begins a word.
        settings: which init, and the seed of those that draw.
        aligned: for `align` how often each old id stood where a piece stands, from `alignments`.
    """
    generator = torch.Generator().manual_seed(settings.seed)

    def rows(table: Tensor, *, output: bool) -> Tensor:
        table = table.float()
        match settings.init:
            case "random":
                return _drawn(table, len(old), generator)
            case "mean":
                return table.mean(0).repeat(len(old), 1)
            case "mean_noise":
                noise = torch.randn(len(old), table.shape[1], generator=generator)
                return table.mean(0) + noise / math.sqrt(table.shape[1])
            case "subtoken_mean":
                return _mixed(table, [dict(Counter(ids)) for ids in old])
            case "eeve":
                if output:
                    return table[torch.tensor([ids[0] for ids in bare])]
                return _mixed(table, [dict(Counter(ids)) for ids in bare])
            case "align":
                assert aligned is not None, "align needs the counts of a text"
                counts = zip(aligned, old, strict=True)
                return _mixed(table, [seen or dict(Counter(ids)) for seen, ids in counts])
            case "weighted_mean" | "distill":
                return _mixed(table, [_weights(ids, falling=output) for ids in old])

    return Rows(
        embed=rows(embed, output=False), head=None if head is None else rows(head, output=True)
    )


def _weights(ids: Sequence[int], *, falling: bool) -> dict[int, float]:
    """Rising for the input, whose last token was nearest to what follows; falling for the head.

    The space that begins a word counts as a token like any other: without it the head would never
    expect a word behind another, and pieces that differ in it alone would begin as one.
    """
    found: dict[int, float] = {}
    for place, i in enumerate(ids):
        found[i] = found.get(i, 0.0) + (len(ids) - place if falling else place + 1)
    return found


def _mixed(table: Tensor, weights: Sequence[Mapping[int, float]]) -> Tensor:
    """Weighted means of rows, (mixtures, hidden)."""
    bag = torch.tensor([i for one in weights for i in one])
    share = torch.tensor([weight / sum(one.values()) for one in weights for weight in one.values()])
    ends = torch.tensor([0, *map(len, weights)]).cumsum(0)[:-1]
    rows: Tensor = torch.nn.functional.embedding_bag(
        bag, table, ends, mode="sum", per_sample_weights=share
    )
    return rows


def _drawn(table: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws from the normal distribution with mean and covariance of the old rows (Hewitt 2021)."""
    values, vectors = torch.linalg.eigh(torch.cov(table.double().T))
    root = (vectors * values.clamp_min(0).sqrt()).float()
    noise = torch.randn(count, table.shape[1], generator=generator)
    rows: Tensor = table.mean(0) + noise @ root.T
    return rows


def collisions(rows: Tensor) -> int:
    """How many rows equal an earlier one."""
    return int(rows.shape[0] - torch.unique(rows, dim=0).shape[0])
