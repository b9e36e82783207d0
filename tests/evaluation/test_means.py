from typing import Any

import numpy as np
import pytest

from kollama2.errors import BadData
from kollama2.evaluation.evaluate import scores
from kollama2.evaluation.inference import Errors
from kollama2.evaluation.kinds import Mean
from kollama2.evaluation.means import mean
from kollama2.evaluation.statistics import family
from kollama2.records.items import Items


def record(task: str, item: str, value: float, weight: float = 1) -> dict[str, Any]:
    return {
        "task": task, "measure": "acc", "item": item, "cluster": item, "value": value,
        "weight": weight,
    }  # fmt: skip


def halves() -> Mean:
    parts = [{"measure": "a/acc", "chance": 0.5}, {"measure": "b/acc", "chance": 0.25, "weight": 3}]
    return Mean.model_validate({"name": "m", "measure_kind": "mean", "parts": parts})


def test_every_part_counts_as_the_suite_says_however_many_items_it_has() -> None:
    records = [record("a", str(i), 1) for i in range(2)] + [
        record("b", str(i), i % 2) for i in range(10)
    ]
    outcome = mean(halves(), [*records, record("c", "0", 5)])
    # a: 100 points; b: (.5 - .25) / .75, a third of 100, three times as heavy.
    assert scores(outcome.records) == pytest.approx({"m/points": (100 + 3 * 100 / 3) / 4})
    assert {one["stratum"] for one in outcome.records} == {"a/acc", "b/acc"}


def test_a_part_without_items_is_said() -> None:
    with pytest.raises(BadData, match="no item was scored by b/acc"):
        mean(halves(), [record("a", "0", 1)])


def test_items_are_drawn_within_their_stratum() -> None:
    # Two strata, constant within: no draw can change the mean.
    value, weight = np.array([[1.0, 1.0, 1.0, 5.0, 5.0]]), np.ones((1, 5))
    strata = np.array([0, 0, 0, 1, 1])
    apart = Errors([(value, weight)], [False], draws=200, strata=strata)
    assert np.ptp(apart.drawn) == pytest.approx(0, abs=1e-12)
    assert np.ptp(Errors([(value, weight)], [False], draws=200).drawn) > 1


def test_strata_reach_the_comparison() -> None:
    ids = np.array([f"{part}{i}" for part in "ab" for i in range(20)])
    strata = np.array([one[0] for one in ids])
    noise = np.random.default_rng(0).normal(size=40)

    def items(shift: float) -> Items:
        return Items(ids, ids, noise + shift * (strata == "b"), np.ones(40), strata)

    found = family({"base": [items(0)], "better": [items(1)]}, "base", higher=True, resamples=500)
    difference = found["better"].versus_base
    assert difference is not None
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.5, 0.5, 0.5))
