"""Errors of scores: exact where they can be, and right in simulated studies."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import studentized_range
from scipy.stats import t as student

from kollama2.evaluation import inference
from kollama2.evaluation.inference import Errors, Table, ranks
from kollama2.evaluation.seeds import Floats, moderated


def table(answers: Floats) -> Table:
    answers = np.atleast_2d(np.asarray(answers, dtype=float))
    return answers, np.ones_like(answers)


def of_items(*answers: Floats, draws: int = 20_000) -> Errors:
    """Models that no seed changes."""
    return Errors([table(one) for one in answers], [False] * len(answers), draws=draws)


def test_few_answers_give_mcnemars_exact_p_value() -> None:
    right, wrong = np.ones(20), np.ones(20)
    wrong[:5] = 0  # five answers differ, all one way: 2 of 32 signs
    (found,) = of_items(right, wrong).family([(0, 1)])
    assert found.value == pytest.approx(0.25)
    assert found.p == found.p_adjusted == pytest.approx(2 / 32, abs=0.004)


def test_one_model_has_no_differences() -> None:
    assert of_items(np.ones(20)).family([]) == []


def test_two_opposite_answers_give_no_verdict_and_no_warning() -> None:
    one = np.array([1.0, 0.0])  # half of the signs leave no scatter
    found = of_items(one, 1 - one, one).family([(0, 1), (0, 2)], shares=[0, 1, 2])
    assert [difference.value for difference in found] == [0, 0]
    assert all(math.isnan(figure) for one in found for figure in (one.low, one.p, one.mde))


def test_normal_answers_give_students_t() -> None:
    rng = np.random.default_rng(1)
    for size in (8, 12, 40):
        delta = rng.normal(0.5, 1, size)
        (found,) = of_items(delta, np.zeros(size)).family([(0, 1)])
        value = delta.mean() / (delta.std(ddof=1) / math.sqrt(size))
        assert found.p == pytest.approx(2 * student.sf(abs(value), size - 1), abs=0.02)


def test_shares_get_clopper_and_pearsons_interval() -> None:
    error = of_items(np.ones(20)).score(0)
    assert error.proportion() == pytest.approx((0.025 ** (1 / 20), 1.0))
    assert of_items(np.zeros(20)).score(0).proportion() == pytest.approx((0, 1 - 0.025**0.05))
    half = of_items(np.arange(400) % 2).score(0)
    assert half.proportion() == pytest.approx((0.45, 0.55), abs=0.003)


def test_equal_answers_may_differ_elsewhere() -> None:
    errors = of_items(np.ones(40), np.ones(40))
    assert errors.family([(0, 1)])[0][:3] == (0, 0, 0)
    _, low, high, p, *_ = errors.family([(0, 1)], shares=[0, 1])[0]
    assert (low, high) == pytest.approx((-0.0693, 0.0693), abs=1e-4)  # 1.96 * sqrt(2) / 40
    assert p == 1


def test_skewed_items_pull_the_interval() -> None:
    answers = np.random.default_rng(3).lognormal(0, 1, 30)
    low, high = of_items(answers).score(0).interval()
    assert high - answers.mean() > 1.5 * (answers.mean() - low) > 0


def test_many_trainings_give_the_studentised_range() -> None:
    """Where seeds make all of the error, the family of all pairs is Tukey's."""
    rng = np.random.default_rng(5)
    recipes, seeds = 6, 4
    tables = [table(np.repeat(rng.normal(size=(seeds, 1)), 300, axis=1)) for _ in range(recipes)]
    means = [value.mean() for value, _ in tables]
    variance = np.mean([value[:, 0].var(ddof=1) for value, _ in tables])
    errors = Errors(tables, [True] * recipes, draws=20_000)
    pairs = [(left, right) for right in range(recipes) for left in range(right)]
    for (left, right), found in zip(pairs, errors.family(pairs), strict=True):
        size = abs(means[left] - means[right]) / math.sqrt(variance / seeds)
        wanted = studentized_range.sf(size, recipes, recipes * (seeds - 1))
        assert found.p_adjusted == pytest.approx(wanted, abs=0.03)


def test_variances_are_drawn_to_each_other_as_far_as_they_are_alike() -> None:
    freedom = np.array([2, 2, 2, 0])
    variance, shared, own = moderated(np.array([2.0, 2.2, 1.8, 0.0]), freedom)
    assert variance == pytest.approx([1.0] * 4)
    assert (shared.tolist(), own.tolist()) == ([6] * 4, [0.0] * 4)
    squares, freedom = np.array([0.02, 0.02, 2.0, 2.0]), np.array([9, 9, 9, 9])
    variance, shared, own = moderated(squares, freedom)
    assert 0.02 / 9 < variance[0] < 0.02 < 0.15 < variance[3] < 2 / 9
    logs = np.log(squares / 9)
    excess = logs.var(ddof=1) - polygamma(1, 4.5)
    assert polygamma(1, shared[0] / 2) == pytest.approx(excess, rel=1e-6)
    assert own.tolist() == [9, 9, 9, 9]
    squares, freedom = np.array([2.0, 2.2, 1.8, 200.0]), np.array([2, 2, 2, 2])
    variance, shared, own = moderated(squares, freedom)
    assert variance == pytest.approx([1, 1, 1, 100])  # F(2, 6) = 100: one in forty thousand
    assert (shared.tolist(), own.tolist()) == ([6, 6, 6, 0], [0, 0, 0, 2])
    assert moderated(np.zeros(2), np.zeros(2, dtype=int))[0].tolist() == [0, 0]


def test_memory_is_bounded_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = np.random.default_rng(1).normal(size=200)
    whole = of_items(answers, draws=2_000).score(0)
    monkeypatch.setattr(inference, "_CELLS", 200 * 64)
    parts = of_items(answers, draws=2_000).score(0)
    assert parts.interval() == pytest.approx(whole.interval(), rel=0.1)


def studies(recipes: int, seeds: int, ratio: float, items: int = 40) -> Iterator[list[Table]]:
    """Studies of equal recipes and their base, which differ by chance."""
    rng = np.random.default_rng([recipes, seeds])
    for _ in range(300):
        level = rng.normal(size=items)
        scatter = ratio / math.sqrt(items) * rng.normal(size=(recipes, seeds, 1))
        answers = level + rng.normal(size=(recipes, seeds, items)) + scatter
        yield [*map(table, answers), table(level + rng.normal(size=items))]


def judged(number: int, tables: list[Table]) -> Errors:
    return Errors(tables, [True] * (len(tables) - 1) + [False], draws=400, seed=number)


@pytest.mark.parametrize(
    ("recipes", "seeds", "ratio"),
    [
        (2, 2, 30),
        pytest.param(8, 3, 10, marks=pytest.mark.slow),
        pytest.param(8, 2, 1, marks=pytest.mark.slow),
    ],
)
def test_equal_recipes_are_told_apart_in_one_study_of_twenty(
    recipes: int, seeds: int, ratio: float
) -> None:
    """A small one of bench/verdicts.py: family-wise error at most .05 and two standard errors."""
    pairs = [(left, right) for right in range(recipes + 1) for left in range(right)]
    smallest = [
        min(one.p_adjusted for one in judged(number, tables).family(pairs))
        for number, tables in enumerate(studies(recipes, seeds, ratio))
    ]
    false = sum(p < 0.05 for p in smallest)
    assert false / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize(
    ("recipes", "ratio", "items"),
    [(2, 30, 40), pytest.param(8, 3, 20, marks=pytest.mark.slow)],
)
def test_eight_of_ten_studies_of_two_seeds_find_a_gain_as_large_as_they_state(
    recipes: int, ratio: float, items: int
) -> None:
    """However differently they state it: two seeds may be alike by chance."""
    pairs, found, stated = [(one, recipes) for one in range(recipes)], 0, list[float]()
    for number, (first, *others) in enumerate(studies(recipes, 2, ratio, items)):
        stated.append(judged(number, [first, *others]).family(pairs)[0].mde)
        gained = (first[0] + stated[-1], first[1])
        found += judged(number, [gained, *others]).family(pairs)[0].p_adjusted < 0.05
    assert found / 300 == pytest.approx(0.8, abs=0.06)
    if recipes == 2:
        assert max(stated) > 10 * min(stated)


def test_the_gain_that_a_study_finds_is_that_of_students_t() -> None:
    """One difference of normal items, which no seed changes: Bloom's multiple."""
    delta = np.random.default_rng(2).normal(size=40)
    (found,) = of_items(delta, np.zeros(40)).family([(0, 1)])
    multiple = student.ppf(0.975, 39) + student.ppf(0.8, 39)
    assert found.mde == pytest.approx(multiple * delta.std(ddof=1) / math.sqrt(40), rel=0.02)


def test_ranks_by_hand() -> None:
    good = np.array([[3.0, 2, 1], [3, 2, 1], [1, 2, 3], [3, 3, 1]])
    p_best, low, high = ranks(good)
    assert p_best == pytest.approx([(1 + 1 + 0.5) / 4, 0.5 / 4, 1 / 4])
    assert low.tolist() == [1, 1, 1]
    assert high.tolist() == [3, 2, 3]
