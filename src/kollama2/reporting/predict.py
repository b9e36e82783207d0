"""Prediction: does the ranking of one study, on a small model, hold in another, on a large one?"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from kollama2.errors import BadUsage
from kollama2.evaluation.contrast import Contrast
from kollama2.evaluation.statistics import Comparison, drawn_scores
from kollama2.locale import say
from kollama2.reporting.contrast import contrasts
from kollama2.reporting.study import Study

DRAWS = 2_000


class Prediction(NamedTuple):
    """How well one study tells the order of recipes in another, on one measure.

    Attributes:
        recipes: that both studies measured.
        tau: Kendall's rank correlation (tau-b) of their scores, with its 95 % interval over items
            and trainings of both studies; the interval is NaN where one of them ranks nothing.
        separable: pairs that the second study tells apart.
        right: those of them that the first puts in the same order, whether or not it tells them
            apart; `told`: and tells apart.
    """

    measure: str
    recipes: tuple[str, ...]
    tau: float
    low: float
    high: float
    separable: int
    right: int
    told: int

    def sentence(self, small: str, large: str) -> str:
        """What a report says of it."""
        if not self.separable:
            return say(
                "{large} tells no two recipes apart on {measure}, so {small} cannot be judged by "
                "it; that takes several seeds and enough items",
                large=large, small=small, measure=self.measure,
            )  # fmt: skip
        return say(
            "{small} told {right} of {pairs} separable pairs of {large} right on {measure} "
            "(Kendall's tau {tau:.2f} [{low:.2f}, {high:.2f}] over {recipes} recipes)",
            small=small, large=large, right=self.right, pairs=self.separable, measure=self.measure,
            tau=self.tau, low=self.low, high=self.high, recipes=len(self.recipes),
        )  # fmt: skip


def predict(small: Study, large: Study) -> list[Prediction]:
    """Compare the orders of the recipes that two studies share, measure by measure.

    Args:
        small: the study that predicts.
        large: the study that is predicted; its primary measure comes first.

    Raises:
        BadUsage: they share fewer than three recipes, or no measure.
        Corrupt: a record cannot be read.
    """
    shared = [name for name in large.recipes if name in small.recipes]
    if len(shared) < 3:
        raise BadUsage(
            f"{small.name} and {large.name} share {len(shared)} recipes "
            f"({', '.join(shared) or 'none'}); an order takes three"
        )
    ours, theirs = contrasts(small), contrasts(large)
    found = [
        one
        for name, contrast in theirs.items()
        if contrast.comparison is not None and name in ours
        if (one := _one(shared, _Side(small, ours[name]), _Side(large, contrast))) is not None
    ]
    for study, seen in ((small, ours), (large, theirs)):
        if not any(contrast.comparison for contrast in seen.values()):
            raise BadUsage(f"the base of {study.name} is not measured yet; run the study first")
    if not found:
        raise BadUsage(
            f"{small.name} and {large.name} share no measure on three recipes; "
            f"{small.name} has {', '.join(ours) or 'none'}"
        )
    return found


class _Side(NamedTuple):
    """One measure in one of the two studies."""

    study: Study
    contrast: Contrast

    def scores(self, recipes: Sequence[str]) -> np.ndarray[Any, Any]:
        """Scores and, below them, draws of them; shape (1 + draws, recipes)."""
        records = {one: self.contrast.items[one] for one in recipes}
        drawn = drawn_scores(records, trained=self.study.trained, resamples=DRAWS)
        means = [np.mean([seed.score for seed in records[one]]) for one in recipes]
        return np.vstack([means, np.column_stack([drawn[one] for one in recipes])])


def _one(shared: Sequence[str], ours: _Side, theirs: _Side) -> Prediction | None:
    large, small = theirs.contrast.comparison, ours.contrast.comparison
    assert large is not None, "what is not compared cannot be predicted"
    recipes = [one for one in shared if one in ours.contrast.items and one in theirs.contrast.items]
    if len(recipes) < 3:
        return None
    left, right = ours.scores(recipes), theirs.scores(recipes)
    tau = _tau(left, right)
    separable = kept = told = 0
    for at, other in combinations(range(len(recipes)), 2):
        pair = {recipes[at], recipes[other]}
        if not _apart(large, pair):
            continue
        separable += 1
        if (left[0, at] - left[0, other]) * (right[0, at] - right[0, other]) > 0:
            kept += 1
            told += small is not None and _apart(small, pair)
    low, high = np.nan, np.nan
    if large.ranked and small is not None and small.ranked:
        low, high = np.nanquantile(tau[1:], [0.025, 0.975])
    return Prediction(
        ours.contrast.measure,
        tuple(recipes),
        float(tau[0]),
        float(low),
        float(high),
        separable,
        kept,
        told,
    )


def _tau(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Kendall's tau-b of each row, NaN where all scores of one tie."""
    first, second = np.triu_indices(left.shape[1], 1)
    ours = np.sign(left[:, first] - left[:, second])
    theirs = np.sign(right[:, first] - right[:, second])
    with np.errstate(invalid="ignore"):
        found: np.ndarray[Any, Any] = (ours * theirs).sum(axis=1) / np.sqrt(
            (ours**2).sum(axis=1) * (theirs**2).sum(axis=1)
        )
    return found


def _apart(comparison: Comparison, pair: set[str]) -> bool:
    return any(one.separable and {one.left, one.right} == pair for one in comparison.pairs)
