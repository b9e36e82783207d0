"""Bradley-Terry: strengths that can be computed by hand, intervals that cover the truth."""

import math
from typing import Any

import numpy as np
import pytest

from kollama2.errors import BadData
from kollama2.evaluation import bradley_terry as module
from kollama2.evaluation.bradley_terry import ELO, Judgement, bradley_terry


def judged(left: str, right: str, wins: int, ties: int, losses: int) -> list[Judgement]:
    scores = [1.0] * wins + [0.5] * ties + [0.0] * losses
    return [Judgement(left, right, score, f"{at}") for at, score in enumerate(scores)]


def test_two_models_have_the_logit_of_the_share_of_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRIOR", 1e-9)
    found = bradley_terry(judged("a", "b", 60, 20, 20), "b")
    assert found["a"].elo == pytest.approx(ELO * math.log(0.7 / 0.3), rel=1e-6)
    assert (found["b"].elo, found["b"].low, found["b"].high) == (0, 0, 0)
    assert (found["a"].wins, found["a"].ties, found["a"].losses) == (60, 20, 20)
    assert (found["b"].wins, found["b"].ties, found["b"].losses) == (20, 20, 60)
    # The normal interval of a share of .7 with scores of variance .16, by the delta method.
    half = 1.96 * math.sqrt(0.16 / 100) / (0.7 * 0.3) * ELO
    assert found["a"].low == pytest.approx(found["a"].elo - half, abs=12)
    assert found["a"].high == pytest.approx(found["a"].elo + half, abs=12)


def test_who_stands_left_does_not_matter() -> None:
    turned = [Judgement(one.right, one.left, 1 - one.score, one.cluster)
              for one in judged("a", "b", 60, 20, 20)]  # fmt: skip
    straight = bradley_terry(judged("a", "b", 60, 20, 20), "b")["a"]
    assert bradley_terry(turned, "b")["a"].elo == pytest.approx(straight.elo, rel=1e-9)


def test_a_chain_orders_models_that_never_met() -> None:
    found = bradley_terry([*judged("a", "b", 30, 0, 10), *judged("b", "c", 30, 0, 10)], "c")
    assert list(found) == ["a", "b", "c"]
    assert found["a"].elo == pytest.approx(2 * found["b"].elo, rel=0.05)


def test_one_that_never_lost_stays_finite() -> None:
    found = bradley_terry(judged("a", "b", 10, 0, 0), "b")
    assert 200 < found["a"].elo < 1000
    assert math.isfinite(found["a"].high)


def test_equal_models_tie_around_their_mean() -> None:
    found = bradley_terry(judged("a", "b", 20, 10, 20))
    assert found["a"].elo == pytest.approx(0, abs=1e-9)
    assert found["a"].low < 0 < found["a"].high


def test_length_is_taken_out() -> None:
    """Judges that only like long answers: the talker leads until length is controlled."""
    rng = np.random.default_rng(0)
    judgements = []
    for at in range(400):
        longer = rng.normal(1.0, 1.0)
        p = 1 / (1 + math.exp(-3 * math.tanh(longer / 1.4)))
        judgements.append(
            Judgement("talker", "plain", float(rng.random() < p), str(at), longer=longer)
        )
    assert bradley_terry(judgements, "plain")["talker"].low > 100
    controlled = bradley_terry(judgements, "plain", control_length=True)["talker"]
    assert controlled.low < 0 < controlled.high


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(1)
    strengths = {"a": 0.8, "b": 0.3, "c": 0.0}
    covered, trials = 0, 40
    for _ in range(trials):
        judgements = []
        for at in range(150):
            left, right = rng.permutation(list(strengths))[:2]
            p = 1 / (1 + math.exp(strengths[right] - strengths[left]))
            judgements.append(Judgement(str(left), str(right), float(rng.random() < p), str(at)))
        found = bradley_terry(judgements, "c", resamples=200)
        covered += sum(
            found[name].low <= strengths[name] * ELO <= found[name].high for name in ("a", "b")
        )
    assert 0.88 <= covered / (2 * trials) <= 1


def test_the_same_votes_give_the_same_strengths() -> None:
    votes: Any = judged("a", "b", 6, 2, 3)
    assert bradley_terry(votes) == bradley_terry(votes)


def test_nothing_to_fit() -> None:
    with pytest.raises(BadData, match="no pair was judged"):
        bradley_terry([])
