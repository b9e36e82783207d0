"""Error: a score or a difference with draws of its error, and what intervals follow from them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import betaincinv

from kollama2.evaluation.seeds import Floats

ALPHA = 0.05
POWER = 0.8
_Z = 1.959963984540054  # quantile .975 of the normal distribution


@dataclass(frozen=True)
class Error:
    """A score or a difference with draws of its error; of several of them all have a first axis.

    Attributes:
        value: the score or the difference itself.
        se: its standard error over items and trainings.
        clusters: of items.
        skew: of the mean over items, which pulls an interval to one side.
        of_seeds: the share of the variance that trainings make.
        drawn: errors as the data allow them, for intervals and p-values; draws come last.
        least, most: what the value can be.
    """

    value: Floats
    se: Floats
    clusters: int
    skew: Floats
    of_seeds: Floats
    drawn: Floats
    least: float
    most: float

    @cached_property
    def t(self) -> Floats:
        """The difference in standard errors."""
        return _standardised(self.value, self.se, beyond=np.inf)

    @cached_property
    def sizes(self) -> Floats:
        """The draws in standard errors."""
        return _standardised(self.drawn, np.asarray(self.se)[..., None], beyond=0.0)

    @property
    def likely(self) -> Floats:
        """What the draws of one sign stay below with a probability of 80 %, in standard errors."""
        found: Floats = self._quantiles[1]
        return found

    def interval(self, more: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """The 95 % interval, skewness removed by Hall's transformation (JRSS B 1992).

        Args:
            more: the standard error that even equal answers have.
        """
        se, quantile = np.hypot(self.se, more), self._quantiles[0]
        low, high = (_hall(one, self.skew) * se for one in (quantile, -quantile))
        return np.maximum(self.least, self.value - low), np.minimum(self.most, self.value - high)

    def proportion(self) -> tuple[Floats, Floats]:
        """The 95 % interval of a share of right answers (Korn and Graubard, Surv. Method. 1998).

        Clopper and Pearson's, for as many independent answers as the standard error is worth.
        """
        share = np.clip(self.value, 0.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = share * (1 - share) / self.se**2 * (_Z / self._quantiles[0]) ** 2
        size = np.where(self.se > 0, np.clip(worth, 1.0, self.clusters), float(self.clusters))
        hits, misses = share * size, (1 - share) * size
        # Where all answers are alike, one end is the end of the scale.
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-9), misses + 1, ALPHA / 2), 0.0)
        high = betaincinv(hits + 1, np.maximum(misses, 1e-9), 1 - ALPHA / 2)
        return low, np.where(misses > 0, high, 1.0)

    @cached_property
    def _quantiles(self) -> Floats:
        """Of the sizes: .95, and .6, which is .8 of one sign since errors are symmetric."""
        with np.errstate(invalid="ignore"):  # few items give infinite sizes, and NaN between two
            drawn: Floats = np.quantile(self.sizes, (1 - ALPHA, 2 * POWER - 1), axis=-1)
        drawn[0] = np.where(self.se > 0, drawn[0], _Z)
        return drawn


def _standardised(drawn: Floats, se: Floats, beyond: float) -> Floats:
    """Sizes in standard errors; where these are 0, `beyond` for all that is not 0 itself."""
    found: Floats = np.abs(drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = found / se
    if not np.all(se):
        found = np.where(se > 0, found, np.where(drawn == 0, 0.0, beyond))
    return found


def _hall(quantile: Floats, skew: Floats) -> Floats:
    """A quantile of the studentised mean, from one of a symmetric distribution."""
    straight = np.abs(skew) < 1e-9
    bent = np.where(straight, 1.0, skew)
    found: Floats = 3 / bent * (np.cbrt(1 + bent * (quantile - bent / 6)) - 1)
    return np.where(straight, quantile, found)
