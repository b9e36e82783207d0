"""Paired differences as a reader wants them: in the direction that is better, per cent of bits."""

from dataclasses import replace
from math import nan

from kollama2.evaluation.contrast import Contrast
from kollama2.evaluation.statistics import Difference, Standing
from kollama2.reporting.board import Estimate, Versus


def between(contrast: Contrast, left: str, right: str) -> Versus | None:
    """`left` against `right`; None where the two cannot be compared or are the same."""
    comparison = contrast.comparison
    if comparison is None or left == right:
        return None
    for pair in comparison.pairs:
        if {pair.left, pair.right} == {left, right}:
            if pair.left != left:
                pair = replace(
                    pair,
                    left=left,
                    right=right,
                    value=-pair.value,
                    low=-pair.high,
                    high=-pair.low,
                )
            return versus(pair, contrast, comparison[right])
    return None


def versus(pair: Difference, contrast: Contrast, other: Standing) -> Versus:
    """A difference to `other`, as a gain."""
    difference = Estimate(pair.value, pair.low, pair.high)
    # Per cent of the other's point score: its own sampling error is left out, which is small
    # beside that of the difference because both saw the same items.
    scale = 100 / abs(other.score) if contrast.in_bits and other.score else 1.0
    gain = scaled(difference, scale if contrast.about.higher else -scale)
    # Two that are equal on every item tell nothing of what would be found.
    mde = pair.mde * scale or nan
    return Versus(difference, gain, pair.p_adjusted, mde, pair.separable)


def scaled(estimate: Estimate, by: float) -> Estimate:
    """An estimate in another unit, or turned round."""
    ends = sorted((estimate.low * by, estimate.high * by))
    return Estimate(estimate.value * by, *ends)
