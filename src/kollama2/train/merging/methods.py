"""The arithmetic of merges on single tensors; all in the precision of what they are given."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

_COLLINEAR = 0.9995


def add_difference(ours: Tensor, plus: Tensor, minus: Tensor, weight: float) -> Tensor:
    """The sum ours + weight (plus - minus).

    Exact at both ends: weight 0 gives `ours` bit by bit, and weight 1 gives `plus` bit by bit
    where `ours` equals `minus`.

    Source: Huang et al. 2024, Chat Vector (arXiv 2310.04799); Wu et al. 2025, Shadow-FT (arXiv
    2505.12716) is the same sum.
    """
    if weight == 0:
        return ours
    moved = ours + weight * (plus - minus)
    return torch.where(ours == minus, plus, moved) if weight == 1 else moved


def linear(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The weighted mean; a tensor with share 1 comes out bit by bit."""
    total = sum(shares)
    for tensor, share in zip(tensors, shares, strict=True):
        if share == total:
            return tensor
    return sum(
        (share / total * tensor for tensor, share in zip(tensors, shares, strict=True)),
        start=torch.zeros_like(tensors[0]),
    )


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Spherical interpolation over the whole tensor; linear where both point the same way.

    Source: Shoemake 1985; the threshold is that of mergekit.
    """
    if share in (0, 1):
        return second if share else first
    norms = first.norm() * second.norm()
    cosine = float((first * second).sum() / norms) if norms > 0 else 1.0
    if abs(cosine) > _COLLINEAR:
        return linear([first, second], [1 - share, share])
    angle = torch.acos(torch.tensor(cosine, dtype=torch.float64))
    ours, theirs = (torch.sin(part * angle) / torch.sin(angle) for part in (1 - share, share))
    return float(ours) * first + float(theirs) * second


def trim(difference: Tensor, density: float) -> Tensor:
    """Keep the largest entries by absolute value, at least one."""
    keep = max(1, int(density * difference.numel()))
    if keep >= difference.numel():
        return difference
    order = difference.abs().flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(difference.numel(), dtype=torch.bool)
    mask[order[:keep]] = True
    return difference * mask.reshape(difference.shape)


def ties(differences: Sequence[Tensor], density: float) -> Tensor:
    """Trim, elect a sign for each entry by its sum, average those that agree.

    Source: Yadav et al. 2023, TIES-Merging (arXiv 2306.01708), algorithm 1.
    """
    trimmed = torch.stack([trim(one, density) for one in differences])
    elected = torch.where(trimmed.sum(0) >= 0, 1.0, -1.0).to(trimmed.dtype)
    agree = (trimmed.sign() == elected) & (trimmed != 0)
    return (trimmed * agree).sum(0) / agree.sum(0).clamp(min=1)


def dare(difference: Tensor, density: float, seed: int, name: str) -> Tensor:
    """Drop entries at random and scale the others, so that the expectation stays.

    Source: Yu et al. 2024, DARE (arXiv 2311.03099). The mask is a function of seed and name.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    luck = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    mask = torch.rand(difference.shape, generator=luck) < density
    return difference * mask / density
