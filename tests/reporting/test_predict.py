"""Prediction: one study's order against another's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from kollama2.errors import BadUsage
from kollama2.reporting.predict import _tau, predict
from kollama2.reporting.study import load
from tests.reporting import fake


def test_the_same_study_predicts_itself(tmp_path: Path) -> None:
    fake.write(tmp_path)
    study = load(tmp_path, "quick")
    first = predict(study, study)[0]
    assert (first.measure, first.recipes) == ("text-ko/bpb", study.recipes)
    assert first.tau == pytest.approx(1)
    assert first.separable == first.right == first.told > 8
    assert first.low > 0.5
    assert first.sentence("a", "b").startswith(
        f"a told {first.right} of {first.right} separable pairs of b right on text-ko/bpb "
        "(Kendall's tau 1.00 ["
    )


def test_an_order_that_is_turned_round(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    fake.write(small)
    turned = [replace(one, korean=-one.korean) for one in fake.RECIPES]
    fake.write(large, recipes=tuple(turned))
    first = predict(load(small, "quick"), load(large, "quick"))[0]
    assert first.tau < -0.8
    assert first.right == first.told == 0 < first.separable


def test_tau_is_scipys() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 5, (20, 7)), rng.integers(0, 5, (20, 7))
    wanted = [kendalltau(a, b).statistic for a, b in zip(left, right, strict=True)]
    assert _tau(left, right) == pytest.approx(wanted)


def test_what_shares_too_little(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    fake.write(small)
    fake.write(large, recipes=fake.RECIPES[:2])
    with pytest.raises(BadUsage, match=r"share 2 recipes \(base, alpaca-full\); an order takes"):
        predict(load(small, "quick"), load(large, "quick"))


def test_a_study_without_a_verdict_judges_no_other(tmp_path: Path) -> None:
    once, few = tmp_path / "once", tmp_path / "few"
    fake.write(tmp_path)
    fake.write(once, seeds=(0,))
    fake.write(few, items=3)
    study = load(tmp_path, "quick")
    for other in (once, few):
        first = predict(study, load(other, "quick"))[0]
        assert first.separable == 0 and np.isnan(first.low)
        assert first.sentence("a", "b").startswith("b tells no two recipes apart on text-ko/bpb")
    fake.write(tmp_path / "none", missing=frozenset(("base", seed) for seed in range(3)))
    with pytest.raises(BadUsage, match="the base of quick is not measured yet"):
        predict(study, load(tmp_path / "none", "quick"))
