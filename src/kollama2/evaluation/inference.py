"""Errors of scores: what other items and other trainings would have given, in many draws.

Items are drawn by turning the signs of what each cluster adds to a difference, studentised, which
is exact for symmetric differences however few they are (the wild bootstrap with the null imposed:
Davidson and Flachaire, J. Econometrics 2008). Trainings of one recipe scatter with a variance that
few of them tell, so the recipes of a study lend each other theirs (Smyth, SAGMB 2004), and the
draws vary it as its estimate does (the Behrens-Fisher distribution). Both add up, and the largest
of all differences in each draw gives p-values for a whole family (max-t: Westfall and Young 1993).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy.special import betaincinv

from kollama2.evaluation.seeds import EACH, REPETITIONS, Floats, Repetitions, Trainings, repeat

Table: TypeAlias = tuple[Floats, Floats]

ALPHA = 0.05
POWER = 0.8
FEWEST = 8
"""Clusters from which intervals cover what they should (bench/statistics.py)."""
_CELLS = 2**22  # drawn signs held at a time
_Z = 1.959963984540054  # quantile .975 of the normal distribution


class Found(NamedTuple):
    """What is said of a difference in a family of them.

    Attributes:
        low, high: of its own 95 % interval; NaN, as are `p` and `p_adjusted`, below `FEWEST` items.
        p: of it for itself; `p_adjusted` keeps the error of the whole family.
        of_seeds: the share of its variance that trainings make; items make the rest.
    """

    value: float
    low: float
    high: float
    p: float
    p_adjusted: float
    of_seeds: float


@dataclass(frozen=True)
class Error:
    """A score or a difference with draws of its error.

    Attributes:
        value: the score or the difference itself.
        se: its standard error over items and trainings.
        clusters: of items.
        skew: of the mean over items, which pulls an interval to one side.
        of_seeds: the share of the variance that trainings make.
        drawn: errors as the data allow them, for intervals and p-values; shape (draws,).
        least, most: what the value can be.
    """

    value: float
    se: float
    clusters: int
    skew: float
    of_seeds: float
    drawn: Floats
    least: float
    most: float

    @property
    def t(self) -> float:
        """The difference in standard errors."""
        if self.value == 0:
            return 0.0
        return abs(self.value) / self.se if self.se else np.inf

    @property
    def sizes(self) -> Floats:
        """The draws in standard errors."""
        found: Floats = np.abs(self.drawn) / self.se if self.se else np.zeros_like(self.drawn)
        return found

    def interval(self, more: float = 0.0) -> tuple[float, float]:
        """The 95 % interval, skewness removed by Hall's transformation (JRSS B 1992).

        Args:
            more: the standard error that even equal answers have.
        """
        se = float(np.hypot(self.se, more))
        quantile = self._quantile if self.se else _Z
        low, high = (_hall(one, self.skew) * se for one in (quantile, -quantile))
        return max(self.least, self.value - low), min(self.most, self.value - high)

    def proportion(self) -> tuple[float, float]:
        """The 95 % interval of a share of right answers (Korn and Graubard, Surv. Method. 1998).

        Clopper and Pearson's, for as many independent answers as the standard error is worth.
        """
        size, share = float(self.clusters), min(1.0, max(0.0, self.value))
        if self.se:
            worth = share * (1 - share) / self.se**2 * (_Z / self._quantile) ** 2
            size = min(size, max(1.0, worth))
        hits, misses = share * size, (1 - share) * size
        low = betaincinv(hits, misses + 1, ALPHA / 2) if hits else 0.0
        high = betaincinv(hits + 1, misses, 1 - ALPHA / 2) if misses else 1.0
        return float(low), float(high)

    @property
    def _quantile(self) -> float:
        return float(np.quantile(self.sizes, 1 - ALPHA))


class Again(NamedTuple):
    """A difference in repetitions of the study, shape (REPETITIONS, EACH).

    Attributes:
        noise: its errors.
        spread: the standard errors that would be stated.
        sizes: the draws that would be made, in standard errors.
    """

    noise: Floats
    spread: Floats
    sizes: Floats

    def detectable(self, critical: Floats) -> float:
        """The true difference that 80 % of repetitions find `critical` standard errors from 0."""
        return max(0.0, float(np.quantile(critical * self.spread - self.noise, POWER)))


class Errors:
    """The scores of several models on the same items, with draws of their errors.

    Args:
        tables: per model values and weights by training and cluster, shape (trainings, clusters);
            a score is the mean over trainings of the ratio of sums.
        varies: whether another training of the model would have come out otherwise.
        draws: of every error.
        seed: of the draws.
        strata: the number of each cluster's stratum, whose share in a score is fixed.
        share: whether scores are shares, which no interval may take below 0 or above 1.

    Attributes:
        point: the score of each model.
        knows_seeds: whether some model has several trainings, or none varies.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        varies: Sequence[bool],
        *,
        draws: int,
        seed: int = 0,
        strata: np.ndarray[Any, np.dtype[np.intp]] | None = None,
        share: bool = False,
    ) -> None:
        rng, self._seed = np.random.default_rng(seed), seed
        self._least, self._most = (0.0, 1.0) if share else (-np.inf, np.inf)
        self.clusters = tables[0][0].shape[1]
        codes = np.zeros(self.clusters, dtype=np.intp) if strata is None else strata
        size = np.bincount(codes)[codes]
        # How the squares of a small stratum have to be stretched.
        self._factor = size / np.maximum(size - 1, 1)
        ratios = [value.sum(axis=1) / weight.sum(axis=1) for value, weight in tables]
        self.point = np.array([ratio.mean() for ratio in ratios])
        # What each cluster adds to a score, as differences from the score (linearised).
        parts = [
            _centred((value - ratio[:, None] * weight) / _mean(weight), codes)
            for (value, weight), ratio in zip(tables, ratios, strict=True)
        ]
        self._parts = np.stack([part.mean(axis=0) for part in parts])
        whole = [(value / _mean(weight)).mean(axis=0) for value, weight in tables]
        self._whole = self._parts if strata is not None else np.stack(whole)
        self._drawn_parts, self._drawn_whole = self._flip(rng, draws)
        self._trainings(rng, ratios, parts, np.asarray(varies), draws)

    def _flip(self, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
        """Means of parts and wholes over clusters of random sign, shape (draws, models)."""
        both = np.concatenate([self._parts, self._whole]).T / self.clusters
        chunk = max(1, _CELLS // self.clusters)
        means = np.concatenate(
            [
                (2.0 * rng.integers(0, 2, (min(chunk, draws - start), self.clusters)) - 1) @ both
                for start in range(0, draws, chunk)
            ]
        )
        models = len(self._parts)
        return means[:, :models], means[:, models:]

    def _trainings(
        self,
        rng: np.random.Generator,
        ratios: Sequence[Floats],
        parts: Sequence[Floats],
        varies: np.ndarray[Any, np.dtype[np.bool_]],
        draws: int,
    ) -> None:
        """The variance of a training by model, and draws of the mean over each one's trainings."""
        count = np.array([len(ratio) for ratio in ratios])
        freedom = np.where(varies, count - 1, 0)
        squares = np.where(varies, [((one - one.mean()) ** 2).sum() for one in ratios], 0.0)
        total = int(freedom.sum())
        self.knows_seeds = total > 0 or not varies.any()
        inside = [
            (self._factor * (one - one.mean(axis=0)) ** 2).sum() if known else 0.0
            for one, known in zip(parts, freedom > 0, strict=True)
        ]
        within = sum(inside) / total / self.clusters**2 if total else 0.0
        self._trained = Trainings(squares, freedom, np.where(varies, 1 / count, 0.0), within)
        variances = self._trained.variances(rng, draws)
        self._variances = np.median(variances, axis=0)
        self._seeds = self._variances * self._trained.share
        self._seed_errors = self._trained.errors(rng, variances)

    @property
    def ranked(self) -> bool:
        """Whether a verdict can be given: there are enough items, and seeds where they matter."""
        return self.knows_seeds and self.clusters >= FEWEST

    @property
    def drawn(self) -> Floats:
        """Scores of all models as other items and trainings could give them, (draws, models)."""
        stretch = np.sqrt(self.clusters / max(1, self.clusters - 1))
        found: Floats = self.point + self._drawn_parts * stretch + self._seed_errors
        return found

    def family(self, pairs: Sequence[tuple[int, int]], shares: Collection[int] = ()) -> list[Found]:
        """What is said of several differences, left minus right, of which none may be wrong.

        An adjusted p-value tells how often the largest of the family is as many standard errors
        from zero by chance.

        Args:
            pairs: the numbers of the models.
            shares: models whose scores are shares of right answers; two of them may differ although
                these items show none (one more answer each way: Bonett and Price, JEBS 2012).
        """
        if self.clusters < FEWEST:
            errors = (self.difference(*pair) for pair in pairs)
            return [Found(one.value, nan, nan, nan, nan, one.of_seeds) for one in errors]
        said, reached = list[Found](), list[float]()
        largest = np.zeros(1)
        for pair in pairs:
            error = self.difference(*pair)
            sizes = error.sizes
            largest = np.maximum(largest, sizes)
            # Draws with the signs of the data differ from it by rounding only.
            reached.append(error.t * (1 - 1e-9))
            more = np.sqrt(2) / self.clusters if shares and set(pair) <= set(shares) else 0.0
            p = _p(sizes, reached[-1])
            said.append(Found(error.value, *error.interval(more), p, nan, error.of_seeds))
        return [
            one._replace(p_adjusted=_p(largest, size))
            for one, size in zip(said, reached, strict=True)
        ]

    def detectable(self, pairs: Sequence[tuple[int, int]]) -> list[float]:
        """The smallest true differences that this family would find in 80 % of repetitions.

        NaN where nothing is ranked, since what seeds would hide is not known.
        """
        if not self.ranked:
            return [nan] * len(pairs)
        largest = np.zeros((REPETITIONS, EACH))
        for pair in pairs:
            largest = np.maximum(largest, self._again(*pair).sizes)
        critical = np.quantile(largest, 1 - ALPHA, axis=1, keepdims=True)
        # Made again, since the draws of all pairs at once are too many to hold.
        return [self._again(*pair).detectable(critical) for pair in pairs]

    def score(self, model: int) -> Error:
        """The error of one model's score."""
        part, flipped = self._parts[model], self._drawn_parts[:, model]
        return self._error(float(self.point[model]), part, part, flipped, [model])

    def difference(self, left: int, right: int) -> Error:
        """The error of the difference of two models, `left` minus `right`."""
        return self._error(
            float(self.point[left] - self.point[right]), *self._versus(left, right), [left, right]
        )

    def _versus(self, left: int, right: int) -> tuple[Floats, Floats, Floats]:
        return (
            self._parts[left] - self._parts[right],
            self._whole[left] - self._whole[right],
            self._drawn_whole[:, left] - self._drawn_whole[:, right],
        )

    def _error(
        self, value: float, part: Floats, whole: Floats, flipped: Floats, models: list[int]
    ) -> Error:
        items, t = self._variance(part), _studentised(whole, flipped)[1]
        seeds = float(self._seeds[models].sum())
        of_trainings = self._seed_errors[:, models] @ np.array([1.0, -1.0])[: len(models)]
        cube = float((part**3).mean() / (part**2).mean() ** 1.5) if items else 0.0
        of_seeds = seeds / (items + seeds) if items + seeds else 0.0
        return Error(
            value,
            float(np.sqrt(items + seeds)),
            self.clusters,
            cube * (1 - of_seeds) ** 1.5 / float(np.sqrt(self.clusters)),
            of_seeds,
            of_trainings + np.sqrt(items) * t if items else of_trainings,
            self._least if len(models) == 1 else -self._most,
            self._most,
        )

    def _again(self, left: int, right: int) -> Again:
        """The difference in repetitions of the study, with other items and other seeds."""
        part, whole, flipped = self._versus(left, right)
        flipped = np.resize(flipped, (REPETITIONS, EACH))
        items, (spread, t) = self._variance(part), _studentised(whole, flipped)
        least = float((whole**2).sum()) / self.clusters**2
        scale = np.sqrt(items / least) if least else 0.0
        drawn, noise = (
            one[..., left] - one[..., right] for one in (self._repeated.drawn, self._repeated.noise)
        )
        seeds = self._repeated.variance[..., [left, right]].sum(axis=-1)
        se = np.sqrt(items + seeds)
        drawn = np.abs(drawn + np.sqrt(items) * t if items else drawn)
        return Again(
            noise + scale * flipped,
            np.sqrt(scale**2 * spread + seeds),
            np.divide(drawn, se, out=np.zeros_like(drawn), where=se > 0),
        )

    @cached_property
    def _repeated(self) -> Repetitions:
        return repeat(np.random.default_rng(self._seed), self._trained, self._variances)

    def _variance(self, part: Floats) -> float:
        """The variance of a mean over items."""
        return float((self._factor * part**2).sum() / self.clusters**2)


def _studentised(whole: Floats, flipped: Floats) -> tuple[Floats, Floats]:
    """Variances of means over items of random sign, and these means in standard errors."""
    size = len(whole)
    spread = np.maximum(0.0, (whole**2).sum() - size * flipped**2) / max(1, size * (size - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(flipped / np.sqrt(spread), nan=0.0, posinf=np.inf, neginf=-np.inf)
    return spread, t


def _centred(parts: Floats, codes: np.ndarray[Any, np.dtype[np.intp]]) -> Floats:
    """Parts without the means of their strata."""
    sums = np.stack([np.bincount(codes, part) for part in parts])
    centred: Floats = parts - (sums / np.bincount(codes))[:, codes]
    return centred


def _mean(weight: Floats) -> Floats:
    """The mean weight of a cluster, by training; a column."""
    mean: Floats = weight.mean(axis=1, keepdims=True)
    return mean


def _hall(quantile: float, skew: float) -> float:
    """A quantile of the studentised mean, from one of a symmetric distribution."""
    if abs(skew) < 1e-9:
        return quantile
    return float(3 / skew * (np.cbrt(1 + skew * (quantile - skew / 6)) - 1))


def _p(drawn: Floats, reached: float) -> float:
    return float(((drawn >= reached).sum() + 1) / (len(drawn) + 1))


def ranks(good: Floats) -> tuple[Floats, Floats, Floats]:
    """P(best) and the 90 % interval of the rank, from scores (draws, models), more is better.

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
