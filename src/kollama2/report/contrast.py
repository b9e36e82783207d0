"""Contrasts: one measure over all recipes, paired by item, with what the statistics say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kollama2.report import records

Scored = Mapping[str, Sequence[Mapping[str, records.Item]]]  # recipe -> seeds -> item id -> item
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contrast:
    """What one measure says of one recipe; differences are recipe minus base."""

    score: float
    difference: Interval
    percent: Interval
    p: float
    mde: float
    tier: str
    p_best: float
    ranks: tuple[int, int]


def contrast(scored: Scored, base: str, lower: bool) -> dict[str, Contrast]:
    """Compares every recipe with the base on the items that all of them answered."""
    shared = set.intersection(*(set(seed) for seeds in scored.values() for seed in seeds))
    ids = sorted(shared)
    first = next(iter(scored.values()))[0]
    clusters = sorted({first[name].cluster for name in ids})
    code = np.array([clusters.index(first[name].cluster) for name in ids])
    rng = np.random.default_rng(0)
    n = len(clusters)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    draws = np.vstack([np.ones((1, n)), draws])
    reps = {}
    for recipe, seeds in scored.items():
        per_seed = []
        for seed in seeds:
            value = np.bincount(code, [seed[name].value for name in ids], n)
            weight = np.bincount(code, [seed[name].weight for name in ids], n)
            per_seed.append((draws @ value) / (draws @ weight))
        stack = np.array(per_seed)
        picks = rng.integers(len(seeds), size=(len(seeds), RESAMPLES + 1))
        picks[:, 0] = np.arange(len(seeds))
        reps[recipe] = np.take_along_axis(stack, picks, 0).mean(0)
    sign = 1 if lower else -1
    order = sorted(reps, key=lambda name: (sign * reps[name][0], name))
    table = sign * np.array([reps[name][1:] for name in order])
    best = table == table.min(0)
    p_best = (best / best.sum(0)).mean(1)
    rank = 1 + (table[None] < table[:, None]).sum(1)
    out = {}
    tier, leader = "A", order[0]
    for place, name in enumerate(order):
        away = sign * (reps[name][1:] - reps[leader][1:])
        if np.quantile(away, 0.025) > 0:
            tier, leader = chr(ord(tier) + 1), name
        gap = reps[name] - reps[base]
        out[name] = Contrast(
            score=float(reps[name][0]),
            difference=_interval(gap),
            percent=_interval(100 * gap / np.abs(reps[base])),
            p=float(min(1.0, 2 * min((gap[1:] <= 0).mean(), (gap[1:] >= 0).mean()))),
            mde=float(2.8 * gap[1:].std()),
            tier=tier,
            p_best=float(p_best[place]),
            ranks=(int(np.quantile(rank[place], 0.05)), int(np.quantile(rank[place], 0.95))),
        )
    return out


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))
