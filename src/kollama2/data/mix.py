"""Choosing rows by bytes: budgets and mixtures as a pure function of the seed and row numbers."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kollama2.errors import BadData, BadUsage


def chance(seed: int, *place: int) -> float:
    """A number in [0, 1) that is fixed by the seed and a place, whoever asks and when."""
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def shuffled(rows: int, seed: int, source: int) -> NDArray[np.int64]:
    """Return 0 … rows-1 in an order fixed by the seed and the source's number.

    A row's place depends on its own number only (a keyed hash), so rows that are added at the end
    never change the order of those before.
    """
    salt = int.from_bytes(hashlib.sha256(f"{seed} {source}".encode()).digest()[:8], "big")
    # splitmix64, by Steele, Lea and Flood (OOPSLA 2014): a bijection, so there are no ties.
    key = np.arange(rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(key ^ (key >> np.uint64(31)), kind="stable").astype(np.int64)


def select(
    sizes: Sequence[NDArray[np.int64]],
    weights: Sequence[float | None],
    budget: int | None,
    seed: int,
) -> list[NDArray[np.int64]]:
    """Return how many bytes of each row to take, 0 for none.

    Args:
        sizes: for each source the UTF-8 bytes of each of its rows, shape (rows,).
        weights: each source's share of the bytes; all None mixes by what there is.
        budget: bytes in all; None takes as much as the weights allow without repeating a row.
        seed: fixes the order in which rows are taken.

    Returns:
        For each source an array of shape (rows,). Its last row in the order may be taken in part.

    Raises:
        BadUsage: the budget or a weight is not positive, or only some sources have a weight.
        BadData: a source of a mixture has fewer bytes than its share of the budget.
    """
    if budget is not None and budget <= 0:
        raise BadUsage(f"the budget is {budget} bytes; it must be positive")
    totals = np.array([size.sum() for size in sizes], dtype=np.float64)
    if all(weight is None for weight in weights):
        shares = totals / max(totals.sum(), 1)
    else:
        if any(weight is None or weight <= 0 for weight in weights):
            raise BadUsage(f"the weights are {list(weights)}; give every source a positive one")
        shares = np.array(weights, dtype=np.float64)
        shares /= shares.sum()
        if budget is None:
            budget = int((totals / shares).min())
    wanted = np.floor(shares * budget) if budget is not None else totals
    if budget is not None and wanted.size:
        wanted[0] += budget - wanted.sum()
    for number, (total, want) in enumerate(zip(totals, wanted, strict=True), 1):
        if want > total and len(sizes) > 1 and weights[0] is not None:
            raise BadData(
                f"source {number} holds {int(total)} bytes of text but its share of the budget is "
                f"{int(want)}; lower the budget or its weight"
            )
    return [
        _take(size, int(min(want, size.sum())), shuffled(len(size), seed, number))
        for number, (size, want) in enumerate(zip(sizes, wanted, strict=True))
    ]


def _take(size: NDArray[np.int64], want: int, order: NDArray[np.int64]) -> NDArray[np.int64]:
    before = np.cumsum(size[order]) - size[order]
    taken = np.zeros_like(size)
    taken[order] = np.clip(want - before, 0, size[order])
    return taken
