"""What the records of several models say: intervals, paired differences, ranks and tiers.

Models answer the same items, so every statement is about paired differences. Items of one cluster
(a passage, a premise, a fact) are drawn together; trainings differ by seed, and the recipes of a
study tell each other by how much.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any, Literal

import numpy as np

from kollama2.errors import BadData
from kollama2.evaluation.error import ALPHA
from kollama2.evaluation.inference import FEWEST, Errors, Table, ranks
from kollama2.evaluation.letters import compact_letters
from kollama2.records.items import Items

RESAMPLES = 10_000
SIDE_RESAMPLES = 2_000
"""Enough for the intervals of measures that decide nothing; a tier needs the full number."""


@dataclass(frozen=True)
class Difference:
    """`left` minus `right`, in the measure's unit, with its 95 % interval and p-values.

    Attributes:
        low, high: of the interval; NaN, as are `p` and `p_adjusted`, where there are too few items.
        p: of this difference for itself.
        p_adjusted: keeps the error of the whole family of differences at .05.
        of_seeds: the share of its variance that trainings make; items make the rest.
        mde: the smallest true difference that this family would find with a probability of 80 %, if
            items and trainings scatter as they do here (`inference.Found`); NaN where nothing is
            ranked.
        separable: whether the two differ, by `p_adjusted`; never where nothing is ranked.
    """

    left: str
    right: str
    value: float
    low: float
    high: float
    p: float
    p_adjusted: float
    of_seeds: float
    mde: float
    separable: bool


@dataclass(frozen=True)
class Standing:
    """One model on one measure; `seeds` are the scores of its trainings.

    Where nothing is ranked, `p_best` and the ends of the rank's 90 % interval are None and `tier`
    is empty.
    """

    name: str
    score: float
    low: float
    high: float
    seeds: tuple[float, ...]
    versus_base: Difference | None
    p_best: float | None
    rank_low: int | None
    rank_high: int | None
    tier: str


@dataclass(frozen=True)
class Comparison:
    """All models on one measure, the best first.

    Attributes:
        ranked: whether a verdict is given: there are enough items, and where models were trained,
            some recipe was trained twice. Else differences are between these very models.
        pairs: the difference of every two models, one family; those to the base are another.
        uncertainty: "items only" if no model was trained with two or more seeds.
        items: items that every model has; `dropped` are those that some model lacks.
    """

    base: str
    higher: bool
    ranked: bool
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
    share: bool = False,
    trained: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare all models on one measure.

    Differences to the base are one family, all pairs another, from which the tiers follow. The
    same input gives the same bytes.

    Args:
        records: per model one `Items` per training seed.
        base: the model that the others are compared with.
        higher: whether more is better.
        share: whether the measure is a share, whose intervals end at 0 and 1; so it is where every
            item is right or wrong.
        trained: models that stand for their recipe, which another seed would have made otherwise;
            those with several different records are such in any case.
        resamples: draws of the errors.
        seed: of the random draws.

    Raises:
        BadData: the base is not among the models, or they share no item.
    """
    if base not in records:
        raise BadData(f"the base {base!r} is not among the models {sorted(records)}")
    names = sorted(records)
    aligned, dropped = _align(records)
    tables = [_sums(aligned[name]) for name in names]
    shares = {index for index, name in enumerate(names) if _is_share(aligned[name])}
    bounded = share or len(shares) == len(names)
    errors = _errors(aligned, tables, trained, resamples, seed, share=bounded)
    at_base = names.index(base)
    every = [(left, right) for right in range(len(names)) for left in range(right)]
    to_base = [(one, at_base) for one in range(len(names)) if one != at_base]
    pairs = _differences(names, errors, every, shares)
    versus = _differences(names, errors, to_base, shares)
    tiers = dict.fromkeys(names, "")
    order = sorted(
        range(len(names)), key=lambda index: -errors.point[index] * (1 if higher else -1)
    )
    if errors.ranked:
        separable = {frozenset((one.left, one.right)) for one in pairs if one.separable}
        tiers = compact_letters([names[index] for index in order], separable)
    by_name = {one.left: one for one in versus}
    standings = _standings(names, errors, higher, shares)
    return Comparison(
        base,
        higher,
        errors.ranked,
        tuple(
            replace(
                standings[index],
                seeds=tuple(_ratios(tables[index]).tolist()),
                versus_base=by_name.get(names[index]),
                tier=tiers[names[index]],
            )
            for index in order
        ),
        tuple(pairs),
        "items and seeds" if any(len(value) > 1 for value, _ in tables) else "items only",
        len(aligned[base][0].item),
        dropped,
        errors.clusters,
        resamples,
    )


def drawn_scores(
    records: Mapping[str, Sequence[Items]],
    *,
    trained: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """The scores that other items and trainings could have given, by model; shape (resamples,).

    Args:
        records: as for `family`.
        trained: as for `family`.
        resamples: draws.
        seed: of the draws.

    Raises:
        BadData: the models share no item.
    """
    names = sorted(records)
    aligned, _ = _align(records)
    tables = [_sums(aligned[name]) for name in names]
    drawn = _errors(aligned, tables, trained, resamples, seed).drawn
    return {name: drawn[:, at] for at, name in enumerate(names)}


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


def _errors(
    aligned: Mapping[str, Sequence[Items]],
    tables: Sequence[Table],
    trained: Collection[str],
    draws: int,
    seed: int,
    *,
    share: bool = False,
) -> Errors:
    """The errors of models in the order of their names."""
    names = sorted(aligned)
    # The same record from every seed: no seed changes this model.
    varies = [
        len(value) > 1 or (name in trained and len(aligned[name]) == 1)
        for name, (value, _) in zip(names, tables, strict=True)
    ]
    strata = _strata(aligned[names[0]][0])
    return Errors(tables, varies, draws=draws, seed=seed, strata=strata, share=share)


def _standings(
    names: Sequence[str], errors: Errors, higher: bool, shares: Collection[int]
) -> list[Standing]:
    """What can be said of each model for itself; seeds, differences and tier come later."""
    p_best, rank_low, rank_high = ranks(errors.drawn if higher else -errors.drawn)
    found = []
    for index, name in enumerate(names):
        error, low, high = errors.score(index), nan, nan
        if errors.clusters >= FEWEST:
            low, high = map(float, error.proportion() if index in shares else error.interval())
        places = (float(p_best[index]), int(rank_low[index]), int(rank_high[index]))
        best, first, last = places if errors.ranked else (None, None, None)
        found.append(Standing(name, float(error.value), low, high, (), None, best, first, last, ""))
    return found


def _ratios(table: Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The score of each seed: sum of values over sum of weights."""
    value, weight = table
    ratios: np.ndarray[Any, np.dtype[np.float64]] = value.sum(axis=1) / weight.sum(axis=1)
    return ratios


def _is_share(seeds: Sequence[Items]) -> bool:
    """Whether the score is a share of items, each right or wrong."""
    return all(
        one.stratum is None and bool(np.isin(one.value / one.weight, (0.0, 1.0)).all())
        for one in seeds
    )


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


def _sums(seeds: Sequence[Items]) -> Table:
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


def _strata(items: Items) -> np.ndarray[Any, np.dtype[np.intp]] | None:
    """The number of each cluster's stratum."""
    if items.stratum is None:
        return None
    _, first = np.unique(_codes(items), return_index=True)
    return np.unique(items.stratum[first], return_inverse=True)[1]


def _differences(
    names: Sequence[str],
    errors: Errors,
    pairs: Sequence[tuple[int, int]],
    shares: Collection[int],
) -> list[Difference]:
    """A family of paired differences."""
    return [
        Difference(
            names[left],
            names[right],
            *one,
            separable=errors.ranked and one.p_adjusted < ALPHA,
        )
        for (left, right), one in zip(pairs, errors.family(pairs, shares), strict=True)
    ]
