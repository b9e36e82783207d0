"""Curricula: equal totals in every order, mixtures over progress, pacing."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.data.curriculum import OrderName, arrange, curriculum, paced, take
from kollama2.errors import BadUsage

RISING = [
    {"at": 0, "pairs": 0.8, "ko": 0.2},
    {"at": 0.5, "pairs": 0.2, "ko": 0.6, "en": 0.2},
    {"at": 1, "ko": 0.9, "en": 0.1},
]
shares = st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1), min_size=1)


def test_totals_are_the_integral_of_the_shares() -> None:
    plan = curriculum(RISING)
    assert plan.names == ("pairs", "ko", "en")
    assert plan.totals() == pytest.approx([0.25 + 0.05, 0.2 + 0.375, 0.05 + 0.075])
    assert plan.totals().sum() == pytest.approx(1)


def test_english_in_the_first_tenth_only() -> None:
    sudden = curriculum([
        {"at": 0, "ko": 0.8, "en": 0.2}, {"at": 0.1, "ko": 0.8, "en": 0.2},
        {"at": 0.1, "ko": 1}, {"at": 1, "ko": 1},
    ])  # fmt: skip
    assert sudden.totals() == pytest.approx([0.98, 0.02])
    sources, _ = arrange(sudden, [np.full(980, 10), np.full(20, 10)], "forward")
    assert set(sources[100:]) == {0}
    assert (sources[:100] == 1).sum() == 20


@settings(max_examples=40, deadline=None)
@given(
    st.lists(shares, min_size=2, max_size=5),
    st.lists(st.lists(st.integers(1, 500), min_size=0, max_size=60), min_size=4, max_size=4),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_order_learns_exactly_the_same_rows(
    knots: list[dict[str, float]], sizes: list[list[int]], seed: int, ranked: bool
) -> None:
    places = np.linspace(0, 1, len(knots))
    plan = curriculum([{"at": at, **knot} for at, knot in zip(places, knots, strict=True)])
    rows = [np.array(size, dtype=np.int64) for size in sizes[: len(plan.names)]]
    hard = [size.astype(float) for size in rows] if ranked else None
    expected = sorted((s, r) for s, size in enumerate(rows) for r in range(len(size)))
    for order in get_args(OrderName):
        sources, found = arrange(plan, rows, order, difficulty=hard, seed=seed)
        assert sorted(zip(sources.tolist(), found.tolist(), strict=True)) == expected
        again = arrange(plan, rows, order, difficulty=hard, seed=seed)
        assert (again[0] == sources).all()
        assert (again[1] == found).all()


def test_forward_follows_the_mixture_and_reverse_mirrors_it() -> None:
    plan = curriculum(RISING)
    totals = plan.totals()
    sizes = [np.full(round(10_000 * t), 7, dtype=np.int64) for t in totals]
    forward, rows = arrange(plan, sizes, "forward")
    for progress in (0.1, 0.3, 0.5, 0.7, 0.9):
        near = forward[int((progress - 0.02) * 10_000) : int((progress + 0.02) * 10_000)]
        measured = [(near == source).mean() for source in range(3)]
        mixture = [np.interp(progress, plan.at, share) for share in zip(*plan.shares, strict=True)]
        assert measured == pytest.approx(mixture, abs=0.02)
    reverse, back = arrange(plan, sizes, "reverse")
    assert (reverse[::-1] == forward).mean() > 0.999  # but for rows at equal places
    assert sorted(back) == sorted(rows)


def test_long_rows_do_not_bend_the_mixture() -> None:
    """Shares are of text, so a source whose rows grow still has its share at every progress."""
    plan = curriculum([{"a": 1, "b": 1}])
    growing = np.arange(1, 401, dtype=np.int64)
    even = np.full(400, int(growing.sum()) // 400)
    sources, rows = arrange(
        plan,
        [growing, even],
        "forward",
        difficulty=[growing.astype(float), None],
        start=1e-9,
    )
    size = np.where(sources == 0, growing[rows], even[0])
    half = np.cumsum(size) <= size.sum() / 2
    assert (size * (sources == 0) * half).sum() / (size * half).sum() == pytest.approx(
        0.5, abs=0.01
    )


def test_the_controls() -> None:
    plan = curriculum(RISING)
    sizes = [np.full(n, 5, dtype=np.int64) for n in (300, 575, 125)]
    place = {order: arrange(plan, sizes, order)[0] for order in get_args(OrderName)}

    def middle(order: Any) -> float:
        return float(np.flatnonzero(place[order] == 0).mean())

    # The pairs' mean place is the integral of t times their share, over their share: 0.0833 / 0.3.
    assert middle("forward") == pytest.approx(277.8, abs=2)
    assert middle("shuffled") == pytest.approx(500, abs=25)
    assert middle("reverse") == pytest.approx(722.2, abs=2)
    # A tenth of the pairs comes in the first tenth with the curriculum, the others anywhere later.
    assert (place["warmup10"][:100] == 0).sum() == pytest.approx(30, abs=2)
    assert np.flatnonzero(place["warmup10"][:100] == 0).mean() < 30
    assert middle("warmup10") == pytest.approx(0.1 * 28 + 0.9 * 550, abs=30)
    # 1,000 rows: 300 pairs with a fifth of the other 700 fill the last 440 places.
    assert np.flatnonzero(place["anneal-last"] == 0).min() >= 555


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.floats(0.01, 1), st.integers(0, 3))
def test_pacing_draws_each_row_once_and_never_beyond_its_competence(
    count: int, start: float, seed: int
) -> None:
    ranks = paced(count, start, seed, 0)
    assert sorted(ranks) == list(range(count))
    for place, rank in enumerate(ranks):
        progress = (place + 1) / count
        level = (progress * (1 - start**2) + start**2) ** 0.5
        assert rank < max(place + 1, round(min(1.0, level) * count))


def test_easy_rows_come_first() -> None:
    hard = np.arange(1000, dtype=np.float64)[::-1].copy()
    plan = curriculum([{"ko": 1}])
    _, rows = arrange(plan, [np.ones(1000, dtype=np.int64)], "forward", difficulty=[hard])
    learned = hard[rows]
    assert learned[:100].mean() < 250 < 700 < learned[-100:].mean()
    _, mixed = arrange(plan, [np.ones(1000, dtype=np.int64)], "shuffled", difficulty=[hard])
    assert abs(np.corrcoef(np.arange(1000), hard[mixed])[0, 1]) < 0.1


def test_a_small_source_repeats_evenly() -> None:
    sizes = np.array([10, 20, 30], dtype=np.int64)
    rows = take(sizes, 150, seed=3, source=0)
    assert sizes[rows].sum() >= 150
    counts = np.bincount(rows, minlength=3)
    assert counts.max() - counts.min() <= 1
    assert (take(sizes, 60, 3, 0) == take(sizes, 120, 3, 0)[:3]).all()


@pytest.mark.parametrize(
    ("knots", "says"),
    [
        ([{"at": 0, "ko": 0}, {"at": 1, "ko": 0}], "one above 0"),
        ([{"at": 0, "ko": -1, "en": 2}, {"at": 1, "ko": 1}], "0 or more"),
        ([{"at": 0.2, "ko": 1}, {"at": 1, "ko": 1}], "must rise from 0 to 1"),
        ([{"at": 0, "ko": 1}, {"at": 0.7, "ko": 1}, {"at": 0.5, "ko": 1}, {"at": 1, "ko": 1}],
         "must rise"),
        ([{"at": 0, "ko": 1, "en": 0}, {"at": 1, "ko": 1, "en": 0}], "'en' never has a share"),
        ([], "must rise from 0 to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(knots: list[dict[str, float]], says: str) -> None:
    with pytest.raises(BadUsage, match=says):
        curriculum(knots)
