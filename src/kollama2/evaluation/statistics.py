"""What the records of several models say: intervals, paired differences, ranks and tiers.

Models answer the same items, so every statement is about paired differences. Items of one cluster
(a passage, a premise, a fact) are drawn together; trainings differ by seed, so with two or more
seeds these are drawn too (crossed with the items, which are the same for every seed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kollama2.errors import BadData
from kollama2.evaluation.letters import compact_letters
from kollama2.evaluation.records import Items
from kollama2.evaluation.resample import Floats, bootstrap, holm, p_value, ranks

RESAMPLES = 10_000
ALPHA = 0.05
# Quantiles of the normal distribution: alpha .05 two-sided, power .80.
_Z_ALPHA, _Z_POWER = 1.959963984540054, 0.8416212335729143


@dataclass(frozen=True)
class Difference:
    """`left` minus `right`, in the measure's unit, with its 95 % interval and p-values."""

    left: str
    right: str
    value: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def separable(self) -> bool:
        """Whether the two differ after Holm's correction at .05."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class Standing:
    """One model on one measure; `seeds` are the scores of its trainings.

    `mde` is the smallest true difference to the base that this comparison would find in 80 % of
    repetitions; None for the base itself.
    """

    name: str
    score: float
    low: float
    high: float
    seeds: tuple[float, ...]
    versus_base: Difference | None
    mde: float | None
    p_best: float
    rank_low: int
    rank_high: int
    tier: str


@dataclass(frozen=True)
class Comparison:
    """All models on one measure, the best first.

    Attributes:
        pairs: the difference of every two models; Holm's family is all of them.
        uncertainty: "items only" if no model was trained with two or more seeds.
        items: items that every model has; `dropped` are those that some model lacks.
    """

    base: str
    higher: bool
    standings: tuple[Standing, ...]
    pairs: tuple[Difference, ...]
    uncertainty: Literal["items only", "items and seeds"]
    items: int
    dropped: int
    clusters: int
    resamples: int

    def __getitem__(self, name: str) -> Standing:
        return next(one for one in self.standings if one.name == name)


def family(
    records: Mapping[str, Sequence[Items]],
    base: str,
    higher: bool,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare all models on one measure.

    Differences to the base are one family for Holm's correction, all pairs another, from which
    the tiers follow. The same input gives the same bytes.

    Args:
        records: per model one `Items` per training seed, in the same order of seeds.
        base: the model that the others are compared with.
        higher: whether more is better.
        resamples: bootstrap resamples.
        seed: of the random draws.

    Raises:
        BadData: the base is not among the models, or they share no item.
    """
    if base not in records:
        raise BadData(f"the base {base!r} is not among the models {sorted(records)}")
    names = sorted(records)
    aligned, dropped = _align(records)
    tables = [_sums(aligned[name]) for name in names]
    point = np.array([_ratios(table).mean() for table in tables])
    strata = _strata(aligned[base][0])
    drawn = bootstrap(tables, resamples=resamples, seed=seed, strata=strata)
    clusters = tables[0][0].shape[1]
    every = [(left, right) for right in range(len(names)) for left in range(right)]
    pairs = _differences(names, point, drawn, every, clusters)
    at_base = names.index(base)
    others = [index for index in range(len(names)) if index != at_base]
    to_base = _differences(names, point, drawn, [(one, at_base) for one in others], clusters)
    order = sorted(range(len(names)), key=lambda index: -point[index] * (1 if higher else -1))
    separable = {frozenset((one.left, one.right)) for one in pairs if one.separable}
    standings = _standings(names, point, drawn, higher, at_base)
    tiers = compact_letters([names[index] for index in order], separable)
    versus = {one.left: one for one in to_base}
    return Comparison(
        base,
        higher,
        tuple(
            replace(
                standings[index],
                seeds=tuple(_ratios(tables[index]).tolist()),
                versus_base=versus.get(names[index]),
                tier=tiers[names[index]],
            )
            for index in order
        ),
        tuple(pairs),
        "items and seeds" if any(len(value) > 1 for value, _ in tables) else "items only",
        len(aligned[base][0].item),
        dropped,
        clusters,
        resamples,
    )


def turned(
    pairs: Sequence[Difference], prompts: Mapping[str, Sequence[float]]
) -> tuple[Difference, ...]:
    """The separable differences that turn round under one of the prompts.

    Args:
        pairs: differences of scores that are means over paraphrased prompts.
        prompts: per model its score under each prompt; models without several are left out.
    """
    return tuple(
        pair
        for pair in pairs
        if pair.separable
        and pair.left in prompts
        and pair.right in prompts
        and any(
            (left - right) * pair.value < 0
            for left, right in zip(prompts[pair.left], prompts[pair.right], strict=True)
        )
    )


def fragile(comparison: Comparison) -> tuple[Difference, ...]:
    """The separable differences that turn round when one training seed is left out."""
    seeds = {one.name: one.seeds for one in comparison.standings}

    def without(name: str, left_out: int) -> float:
        kept = [score for at, score in enumerate(seeds[name]) if at != left_out] or seeds[name]
        return sum(kept) / len(kept)

    return tuple(
        pair
        for pair in comparison.pairs
        if pair.separable
        and any(
            (without(pair.left, at) - without(pair.right, at)) * pair.value <= 0
            for at in range(max(map(len, seeds.values())))
        )
    )


def _standings(
    names: Sequence[str], point: Floats, drawn: Floats, higher: bool, at_base: int
) -> list[Standing]:
    """What each model's own resamples say; seeds, difference and tier are filled in later."""
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    p_best, rank_low, rank_high = ranks(drawn if higher else -drawn)
    spread = (drawn - drawn[:, [at_base]]).std(axis=0)
    return [
        Standing(
            name,
            float(point[index]),
            float(low[index]),
            float(high[index]),
            (),
            None,
            None if index == at_base else (_Z_ALPHA + _Z_POWER) * float(spread[index]),
            float(p_best[index]),
            int(rank_low[index]),
            int(rank_high[index]),
            "",
        )
        for index, name in enumerate(names)
    ]


def _ratios(table: tuple[Floats, Floats]) -> Floats:
    """The score of each seed: sum of values over sum of weights."""
    value, weight = table
    ratios: Floats = value.sum(axis=1) / weight.sum(axis=1)
    return ratios


def _align(records: Mapping[str, Sequence[Items]]) -> tuple[dict[str, list[Items]], int]:
    """Everything cut down to the items that all share, and how many some of them lack."""
    every = [items for seeds in records.values() for items in seeds]
    if not every or not all(records.values()):
        raise BadData("a model without records cannot be compared")
    if all(np.array_equal(items.item, every[0].item) for items in every):
        return {name: list(seeds) for name, seeds in records.items()}, 0
    known = set(every[0].item.tolist())
    common, union = set(known), set(known)
    for items in every[1:]:
        common &= set(items.item.tolist())
        union |= set(items.item.tolist())
    if not common:
        raise BadData("the models share no item, so nothing can be compared")
    shared = np.array(sorted(common))
    return (
        {name: [one.only(shared) for one in seeds] for name, seeds in records.items()},
        len(union) - len(common),
    )


def _sums(seeds: Sequence[Items]) -> tuple[Floats, Floats]:
    """Values and weights summed by cluster, each of shape (seeds, clusters).

    Seeds with the same records are one: a model that was not trained has no seeds to differ.
    """
    if all(np.array_equal(one.value, seeds[0].value) for one in seeds):
        seeds = seeds[:1]
    code = _codes(seeds[0])
    size = int(code.max()) + 1
    return (
        np.stack([np.bincount(code, items.value, size) for items in seeds]),
        np.stack([np.bincount(code, items.weight, size) for items in seeds]),
    )


def _codes(items: Items) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The number of each item's cluster; clusters of one stratum are neighbours."""
    if items.stratum is None:
        return np.unique(items.cluster, return_inverse=True)[1]
    both = np.stack([items.stratum, items.cluster], axis=1)
    return np.unique(both, axis=0, return_inverse=True)[1]


def _strata(items: Items) -> list[int]:
    """How many clusters each stratum has, in the order of their numbers."""
    if items.stratum is None:
        return []
    _, first = np.unique(_codes(items), return_index=True)
    return [int(size) for size in np.unique(items.stratum[first], return_counts=True)[1]]


def _differences(
    names: Sequence[str],
    point: Floats,
    drawn: Floats,
    pairs: Sequence[tuple[int, int]],
    clusters: int,
) -> list[Difference]:
    """Paired differences with percentile intervals; Holm's family is `pairs`."""
    found = []
    for left, right in pairs:
        delta = drawn[:, left] - drawn[:, right]
        value = float(point[left] - point[right])
        low, high = np.quantile(delta, [ALPHA / 2, 1 - ALPHA / 2])
        found.append((left, right, value, float(low), float(high), p_value(value, delta, clusters)))
    adjusted = holm([one[5] for one in found])
    return [
        Difference(names[left], names[right], value, low, high, p, p_holm)
        for (left, right, value, low, high, p), p_holm in zip(found, adjusted, strict=True)
    ]
