"""Bradley-Terry: how strong models are from who was preferred in pairs, with intervals.

A model with strength s is preferred to one with strength t with probability 1 / (1 + exp(t - s))
(Bradley and Terry, Biometrika 1952); a tie is half a win for both. Strengths are shown on Elo's
scale, 400 / ln 10 times the logit: 100 points more mean preferred in 64 % of the pairs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from kollama2.errors import BadData

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

ELO = 400 / math.log(10)
RESAMPLES = 1_000
# Precision of a Gaussian prior over strengths: a standard deviation of two logits (347 Elo). It
# keeps a model that never lost at a finite strength and hardly matters after a dozen votes.
_PRIOR = 0.25
_STEPS = 30
_CHUNK = 100  # resamples at a time


@dataclass(frozen=True)
class Judgement:
    """One comparison: `score` is 1 if `left` was preferred, 0 if `right` was, between for a tie.

    Attributes:
        cluster: what is drawn together: the prompt.
        longer: length of the left answer minus the right one's, in any unit; 0 if it must not
            count.
    """

    left: str
    right: str
    score: float
    cluster: str
    longer: float = 0.0


@dataclass(frozen=True)
class Strength:
    """A model's strength in Elo points above the reference, with its 95 % interval.

    `wins`, `ties` and `losses` count its comparisons as they were given.
    """

    elo: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int


def bradley_terry(
    judgements: Sequence[Judgement],
    reference: str | None = None,
    *,
    control_length: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Strength]:
    """Strengths of all models, the strongest first.

    Args:
        judgements: at least one.
        reference: the model whose strength is 0; the mean of all where it is None or was not
            compared.
        control_length: fit the effect of longer answers too and take it out (as the
            length-controlled AlpacaEval does, arXiv:2404.04475), so that talking more earns
            nothing.
        resamples: bootstrap resamples of the clusters.
        seed: of the random draws.

    Raises:
        BadData: there are no judgements.
    """
    if not judgements:
        raise BadData("there is nothing to fit: no pair was judged yet")
    names = sorted({name for one in judgements for name in (one.left, one.right)})
    design = _design(judgements, names, control_length)
    scores = np.array([one.score for one in judgements])
    _, code = np.unique([one.cluster for one in judgements], return_inverse=True)
    clusters = int(code.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)
    point = _fit(design, scores, np.ones((1, len(scores))))[0]
    fitted = np.concatenate(
        [
            _fit(design, scores, drawn[start : start + _CHUNK, code].astype(np.float64))
            for start in range(0, resamples, _CHUNK)
        ]
    )
    at = names.index(reference) if reference in names else None
    shown, spread = (_anchored(each[..., : len(names)], at) * ELO for each in (point, fitted))
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    counted = _counts(judgements, names)
    order = sorted(range(len(names)), key=lambda one: (-shown[one], names[one]))
    return {
        names[one]: Strength(
            float(shown[one]), float(low[one]), float(high[one]), *counted[names[one]]
        )
        for one in order
    }


def _design(judgements: Sequence[Judgement], names: Sequence[str], control: bool) -> Floats:
    """+1 for the left model, -1 for the right, and the difference in length, if it counts."""
    design = np.zeros((len(judgements), len(names) + control))
    for row, one in enumerate(judgements):
        design[row, names.index(one.left)] += 1
        design[row, names.index(one.right)] -= 1
    if control:
        longer = np.array([one.longer for one in judgements])
        # Saturated, because twice a huge difference is not twice as impressive.
        design[:, -1] = np.tanh(longer / (longer.std() or 1.0))
    return design


def _fit(design: Floats, scores: Floats, weights: Floats) -> Floats:
    """Newton's method for each row of weights: coefficients of shape (rows, columns)."""
    rows, columns = len(weights), design.shape[1]
    prior = np.full(columns, _PRIOR)
    found = np.zeros((rows, columns))
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-found @ design.T))
        slope = (weights * (scores - p)) @ design - prior * found
        curve = weights * p * (1 - p)
        hessian = np.einsum("rn,ni,nj->rij", curve, design, design, optimize=True)
        hessian[:, np.arange(columns), np.arange(columns)] += prior
        step = np.linalg.solve(hessian, slope[..., None])[..., 0]
        found += step
        if np.abs(step).max() < 1e-10:
            break
    return found


def _anchored(strengths: Floats, at: int | None) -> Floats:
    origin = strengths.mean(axis=-1) if at is None else strengths[..., at]
    shifted: Floats = strengths - origin[..., None]
    return shifted


def _counts(
    judgements: Sequence[Judgement], names: Sequence[str]
) -> Mapping[str, tuple[int, int, int]]:
    found = {name: [0, 0, 0] for name in names}
    for one in judgements:
        place = 0 if one.score > 0.5 else 2 if one.score < 0.5 else 1
        found[one.left][place] += 1
        found[one.right][2 - place] += 1
    return {name: (wins, ties, losses) for name, (wins, ties, losses) in found.items()}
