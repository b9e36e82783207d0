"""How trainings of one recipe scatter, as few of them tell it.

The recipes of a study lend each other their variances (Smyth, SAGMB 2004), and what is drawn varies
them as their estimates do (the Behrens-Fisher distribution).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.special import fdtrc, polygamma, psi

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Whole: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

_WILD = 0.001


@dataclass(frozen=True)
class Trainings:
    """The trainings behind the scores of several models.

    Attributes:
        squares: the sum of each model's squared deviations from its mean, shape (models,).
        freedom: the degrees of freedom of it.
        share: the variance of a mean in variances of one training; 0 where no seed changes it.
        within: what items alone scatter in the score of one training.
    """

    squares: Floats
    freedom: Whole
    share: Floats
    within: float

    def variances(self, rng: np.random.Generator, draws: int) -> Floats:
        """Variances of a training as the squares allow them, shape (draws, models)."""
        variance, shared, own = moderated(self.squares, self.freedom)
        chi = np.where(own > 0, rng.chisquare(np.maximum(own, 1), (draws, len(own))), 0.0)
        if shared.any():
            chi = chi + np.where(shared > 0, rng.chisquare(shared.max(), (draws, 1)), 0.0)
        freedom = own + shared
        relative = np.where(freedom > 0, chi / np.maximum(freedom, 1e-9), 1.0)
        # What the items of one training scatter on their own is in the variance of items already.
        found: Floats = np.maximum(0.0, variance / relative - self.within)
        return found

    def errors(self, rng: np.random.Generator, variances: Floats) -> Floats:
        """Errors of the means with these variances of a training, in their shape."""
        found: Floats = rng.standard_normal(variances.shape) * np.sqrt(variances * self.share)
        return found


def moderated(squares: Floats, freedom: Whole) -> tuple[Floats, Floats, Floats]:
    """Variances of several groups, each drawn to the common one as far as they look alike.

    Smyth's empirical Bayes: the common variance counts as so many observations as the scatter of
    the groups' own variances leaves it; groups that scatter no more than by chance have it alone.
    One that scatters far more than all others keeps its own and lends it to nobody (for robustness,
    as Phipson et al., Ann. Appl. Stat. 2016).

    Args:
        squares: the sum of squared deviations of each group, shape (groups,).
        freedom: its degrees of freedom; groups with none take the common variance.

    Returns:
        Variances, and of each the degrees of freedom that it shares and those that it has for
        itself; zeros where nothing is known.
    """
    alone, wild = np.zeros(len(squares)), _wild(squares, freedom)
    alike = np.where(wild, 0, freedom)
    total = int(alike.sum())
    if not total:
        return alone, alone, alone
    common, prior = float(squares[~wild].sum()) / total, _prior(squares, alike)
    if prior >= total - alike.max():
        variance, shared, own = np.full(len(squares), common), float(total), alone
    else:
        variance = (prior * common + squares) / (prior + freedom)
        shared, own = prior, freedom.astype(float)
    return (
        np.where(wild, squares / np.maximum(freedom, 1), variance),
        np.where(wild, 0.0, shared),
        np.where(wild, freedom, own),
    )


def _wild(squares: Floats, freedom: Whole) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which groups scatter more than the others together as one of a thousand would by chance."""
    others = freedom.sum() - freedom
    rest = np.maximum(squares.sum() - squares, 0.0) / np.maximum(others, 1)
    known = (freedom > 0) & (others > 0) & (rest > 0)
    ratio = squares / np.maximum(freedom, 1) / np.where(known, rest, 1.0)
    found: np.ndarray[Any, np.dtype[np.bool_]] = known & (
        fdtrc(np.maximum(freedom, 1), np.maximum(others, 1), ratio) < _WILD
    )
    return found


def _prior(squares: Floats, freedom: Whole) -> float:
    """How many observations the common variance is worth; infinite if the groups are alike."""
    known = (freedom > 0) & (squares > 0)
    if known.sum() < 3:
        return np.inf
    half = freedom[known] / 2
    logs = np.log(squares[known] / freedom[known]) - psi(half) + np.log(half)
    excess = float(logs.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return np.inf
    # polygamma(1, x) falls, and is between 1/x and 1/x + 1/x².
    low, high = 1 / excess, 1 / excess + 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if polygamma(1, middle) > excess else (low, middle)
    return 2 * low
