"""Errors of scores: what other items and other trainings would have given, in many draws.

Items are drawn by turning the signs of what each cluster adds to a difference, studentised, which
is exact for symmetric differences however few they are (the wild bootstrap with the null imposed:
Davidson and Flachaire, J. Econometrics 2008). Trainings of one recipe scatter with a variance that
few of them tell, so the recipes of a study lend each other theirs (Smyth, SAGMB 2004), and the
draws vary it as its estimate does (the Behrens-Fisher distribution). Both add up, and the largest
of all differences in each draw gives p-values for a whole family (max-t: Westfall and Young 1993).
The same draws say what a study of this scatter would find (Bloom, Evaluation Review 1995).
"""

from collections.abc import Collection, Sequence
from math import nan
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kollama2.evaluation.error import ALPHA, Error
from kollama2.evaluation.seeds import Floats, Trainings

Table: TypeAlias = tuple[Floats, Floats]
Models: TypeAlias = int | np.ndarray[Any, np.dtype[np.intp]]

FEWEST = 8
"""Clusters from which intervals cover what they should (bench/verdicts.py)."""
_CELLS = 2**22  # drawn signs held at a time
_BLOCK = 2**17  # draws of several differences held at a time, which fit a cache


class Found(NamedTuple):
    """What is said of a difference in a family of them.

    Attributes:
        low, high: of its own 95 % interval; NaN, as are `p` and `p_adjusted`, below `FEWEST` items.
        p: of it for itself; `p_adjusted` keeps the error of the whole family.
        of_seeds: the share of its variance that trainings make; items make the rest.
        mde: the smallest true difference that the family would find with a probability of 80 % if
            items and trainings scatter as they do here: the critical value of the family and the
            quantile .8 of the difference's own draws, both times its standard error. So 80 % of
            the studies find a true difference as large as they state, although few seeds make
            them state very different ones. NaN where nothing is ranked.
    """

    value: float
    low: float
    high: float
    p: float
    p_adjusted: float
    of_seeds: float
    mde: float


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
        rng = np.random.default_rng(seed)
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
        """Means of parts and wholes over clusters of random sign, shape (models, draws)."""
        both = np.concatenate([self._parts, self._whole]).T / self.clusters
        chunk = max(1, _CELLS // self.clusters)
        means = np.concatenate(
            [self._signs(rng, min(chunk, draws - start)) @ both for start in range(0, draws, chunk)]
        )
        parts, wholes = np.split(np.ascontiguousarray(means.T), 2)
        return parts, wholes

    def _signs(self, rng: np.random.Generator, draws: int) -> Floats:
        """Random signs of the clusters, shape (draws, clusters)."""
        signs: Floats = np.where(rng.integers(0, 2, (draws, self.clusters)) > 0, 1.0, -1.0)
        return signs

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
        trained = Trainings(squares, freedom, np.where(varies, 1 / count, 0.0), within)
        variances = trained.variances(rng, draws)
        self._seeds = np.median(variances, axis=0) * trained.share
        self._seed_errors = np.ascontiguousarray(trained.errors(rng, variances).T)

    @property
    def ranked(self) -> bool:
        """Whether a verdict can be given: there are enough items, and seeds where they matter."""
        return self.knows_seeds and self.clusters >= FEWEST

    @property
    def drawn(self) -> Floats:
        """Scores of all models as other items and trainings could give them, (draws, models)."""
        stretch = np.sqrt(self.clusters / max(1, self.clusters - 1))
        found: Floats = self.point + self._drawn_parts.T * stretch + self._seed_errors.T
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
        if not pairs:
            return []
        left, right = np.array(pairs, dtype=np.intp).T
        right_or_wrong = np.isin(left, list(shares)) & np.isin(right, list(shares))
        more = np.where(right_or_wrong, np.sqrt(2) / self.clusters, 0.0)
        said, largest = list[Floats](), np.zeros(self._drawn_parts.shape[1])
        step = max(1, _BLOCK // len(largest))
        for part in (slice(start, start + step) for start in range(0, len(pairs), step)):
            error = self.difference(left[part], right[part])
            np.maximum(largest, error.sizes.max(axis=0), out=largest)
            # Draws with the signs of the data differ from it by rounding only.
            t = error.t * (1 - 1e-9)
            about = (
                error.value,
                *error.interval(more[part]),
                _p(error.sizes, t[:, None]),
                error.of_seeds,
            )
            said.append(np.stack([*about, error.se, error.likely, t]))
        value, low, high, p, of_seeds, se, likely, t = np.concatenate(said, axis=1)
        adjusted = _p(largest, t[:, None])
        with np.errstate(invalid="ignore"):  # few items give infinite sizes
            mde = se * (np.quantile(largest, 1 - ALPHA, method="higher") + likely)
        if self.clusters < FEWEST:
            low = high = p = adjusted = np.full(len(pairs), nan)
        if not self.ranked:
            # What seeds would hide is not known.
            mde = np.full(len(pairs), nan)
        every = np.stack([value, low, high, p, adjusted, of_seeds, mde], axis=1)
        return [Found(*one) for one in every.tolist()]

    def score(self, model: int) -> Error:
        """The error of one model's score."""
        part, flipped = self._parts[model], self._drawn_parts[model]
        seeds, of_trainings = self._seeds[model], self._seed_errors[model]
        about = (part, part, flipped)
        return self._error(self.point[model], about, seeds, of_trainings, self._least)

    def difference(self, left: Models, right: Models) -> Error:
        """The error of the difference of two models, `left` minus `right`, or of several."""
        of_items = (
            self._parts[left] - self._parts[right],
            self._whole[left] - self._whole[right],
            self._drawn_whole[left] - self._drawn_whole[right],
        )
        return self._error(
            self.point[left] - self.point[right],
            of_items,
            self._seeds[left] + self._seeds[right],
            self._seed_errors[left] - self._seed_errors[right],
            -self._most,
        )

    def _error(
        self,
        value: Floats,
        of_items: tuple[Floats, Floats, Floats],
        seeds: Floats,
        of_trainings: Floats,
        least: float,
    ) -> Error:
        part, whole, flipped = of_items
        items = self._variance(part)
        of_items_drawn = _studentised(whole, flipped)
        with np.errstate(divide="ignore", invalid="ignore"):
            cube = (part**3).mean(axis=-1) / (part**2).mean(axis=-1) ** 1.5
            share = np.nan_to_num(seeds / (items + seeds))
        skew = np.where(items > 0, cube, 0.0) * (1 - share) ** 1.5 / np.sqrt(self.clusters)
        if not np.all(items):
            of_items_drawn = np.where(items[..., None] > 0, of_items_drawn, 0.0)
        of_items_drawn *= np.sqrt(items)[..., None]
        of_items_drawn += of_trainings
        return Error(
            value,
            np.sqrt(items + seeds),
            self.clusters,
            skew,
            share,
            of_items_drawn,
            least,
            self._most,
        )

    def _variance(self, part: Floats) -> Floats:
        """The variance of a mean over items, which are the last axis."""
        found: Floats = (self._factor * part**2).sum(axis=-1) / self.clusters**2
        return found


def _studentised(whole: Floats, flipped: Floats) -> Floats:
    """Means over items of random sign in their own standard errors; NaN where all items are 0."""
    size = whole.shape[-1]
    spread: Floats = np.square(flipped)
    spread *= size
    np.subtract((whole**2).sum(axis=-1)[..., None], spread, out=spread)
    np.maximum(spread, 0.0, out=spread)
    spread /= max(1, size * (size - 1))
    np.sqrt(spread, out=spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(flipped, spread, out=spread)
    return spread


def _centred(parts: Floats, codes: np.ndarray[Any, np.dtype[np.intp]]) -> Floats:
    """Parts without the means of their strata."""
    sums = np.stack([np.bincount(codes, part) for part in parts])
    centred: Floats = parts - (sums / np.bincount(codes))[:, codes]
    return centred


def _mean(weight: Floats) -> Floats:
    """The mean weight of a cluster, by training; a column."""
    mean: Floats = weight.mean(axis=1, keepdims=True)
    return mean


def _p(drawn: Floats, reached: Floats) -> Floats:
    """How often draws, which come last, are as large by chance."""
    found: Floats = ((drawn >= reached).sum(axis=-1) + 1) / (drawn.shape[-1] + 1)
    return found


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
