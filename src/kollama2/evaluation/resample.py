"""The numbers behind a comparison: bootstrap, p-values, Holm's correction, ranks."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

# Numbers of drawn clusters held at a time (1 M int64 are 8 MiB).
_DRAWS = 2**20
# Quantile .975 of the normal distribution.
_Z = 1.959963984540054
# Quantiles .975 of Student's t with 1, 2, ... degrees of freedom.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)


def bootstrap(
    tables: Sequence[tuple[Floats, Floats]],
    *,
    resamples: int,
    seed: int = 0,
    strata: Sequence[int] = (),
) -> Floats:
    """Scores of every model in every resample, shape (resamples, models); draws are shared.

    A resample draws clusters with replacement, and for models with n > 1 seeds also n seeds. A
    score is the mean over drawn seeds of the ratio of sums; the deviation of the drawn seeds from
    the mean of all is stretched by `seed_stretch`.

    Args:
        tables: per model values and weights by seed and cluster, shape (seeds, clusters).
        resamples: rows of the result.
        seed: of the random draws.
        strata: how many neighbouring clusters make each stratum, whose clusters are drawn for
            themselves; all are one stratum if empty.
    """
    clusters = tables[0][0].shape[1]
    assert not strata or sum(strata) == clusters, (strata, clusters)
    result = np.empty((resamples, len(tables)))
    # Models with equally many seeds share the draw: their seeds stand for the same data order.
    by_seeds = {
        size: np.random.default_rng([seed, size]).integers(0, size, (resamples, size))
        for size in sorted({len(value) for value, _ in tables})
    }
    start = 0
    for counts in _cluster_counts(strata or (clusters,), resamples, seed):
        rows = slice(start, start + len(counts))
        for index, (value, weight) in enumerate(tables):
            ratio = (counts @ value.T) / (counts @ weight.T)
            mean = ratio.mean(axis=1)
            size = len(value)
            if size > 1:
                drawn = np.take_along_axis(ratio, by_seeds[size][rows], axis=1).mean(axis=1)
                mean = mean + seed_stretch(size) * (drawn - mean)
            result[rows, index] = mean
        start += len(counts)
    return result


def seed_stretch(seeds: int) -> float:
    """How much further from their mean drawn seeds must lie, so that intervals cover the truth.

    A plain bootstrap of n values is too narrow twice: its variance is (n - 1) / n of the true one
    (Rao and Wu, JASA 1988), and it has normal tails where Student's t is due. Where seeds make
    most of the variance, plain 95 % intervals from 2, 3, 5 seeds cover the truth in 66, 81, 86 %
    of simulated studies, stretched ones in 94 to 96 %.
    """
    freedom = seeds - 1
    # Beyond the table the first term of the Cornish-Fisher expansion of t.
    t = _T[freedom - 1] if freedom <= len(_T) else _Z + (_Z**3 + _Z) / (4 * freedom)
    return math.sqrt(seeds / freedom) * t / _Z


def _cluster_counts(strata: Sequence[int], resamples: int, seed: int) -> Iterator[Floats]:
    """How often each cluster was drawn, in chunks of shape (some resamples, clusters)."""
    rng = np.random.default_rng([seed, 0])
    clusters = sum(strata)
    chunk = max(1, min(resamples, _DRAWS // clusters))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = np.concatenate(
            [
                rng.integers(sum(strata[:at]), sum(strata[: at + 1]), (rows, size))
                for at, size in enumerate(strata)
            ],
            axis=1,
        )
        drawn += np.arange(rows)[:, None] * clusters
        flat = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield flat.reshape(rows, clusters).astype(np.float64)


def p_value(value: float, drawn: Floats, clusters: int) -> float:
    """Two-sided p-value of "no difference" from the bootstrap of a difference.

    Twice the share of resamples beyond zero, so that it agrees with the percentile interval.
    Where fewer than ten resamples reach zero, the tail comes from the normal distribution:
    10,000 resamples alone could never survive Holm's correction in a large family. No p-value is
    below 2 / 2**clusters, the least that a sign-flip test of so many clusters can give: a handful
    of items proves nothing, however much they agree.
    """
    least = 2.0 ** (1 - clusters)
    beyond = int(min((drawn <= 0).sum(), (drawn >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    spread = float(drawn.std())
    if beyond >= 10 or spread == value == 0:
        return max(p, least)
    tail = math.erfc(abs(value) / spread / math.sqrt(2)) if spread else 0.0
    return max(least, min(p, tail))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the family-wise error (Holm, Scand. J. Statist. 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = highest
    return adjusted


def ranks(good: Floats) -> tuple[Floats, Floats, Floats]:
    """P(best) and the 90 % interval of the rank, from scores (resamples, models), more is better.

    Models that tie for the best share it; in a tie the interval covers all places of the tie.
    """
    best = good == good.max(axis=1, keepdims=True)
    p_best = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.empty_like(p_best), np.empty_like(p_best)
    for index in range(good.shape[1]):
        mine = good[:, [index]]
        low[index] = np.quantile(1 + (good > mine).sum(axis=1), 0.05, method="lower")
        high[index] = np.quantile((good >= mine).sum(axis=1), 0.95, method="higher")
    return p_best, low, high
