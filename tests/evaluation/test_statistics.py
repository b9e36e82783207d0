import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kollama2.errors import BadData
from kollama2.evaluation import resample
from kollama2.evaluation.records import Items
from kollama2.evaluation.resample import (
    Floats,
    bootstrap,
    holm,
    p_value,
    ranks,
    seed_stretch,
)
from kollama2.evaluation.statistics import Comparison, Difference, family, fragile, turned


def items(
    value: Sequence[float] | Floats, cluster: Sequence[int] | None = None, weight: float = 1.0
) -> Items:
    size = len(value)
    ids = np.array([f"{number:05}" for number in range(size)])
    clusters = np.array([str(one) for one in (range(size) if cluster is None else cluster)])
    return Items(ids, clusters, np.asarray(value, dtype=float), np.full(size, weight))


def noise(seed: int, size: int = 200) -> Floats:
    return np.random.default_rng(seed).normal(size=size)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04: times 4, 3, 2, 1 = .04 .06 .06 .04, never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_copy_of_the_base_ties_exactly() -> None:
    value = noise(1)
    found = family(
        {"base": [items(value)], "copy": [items(value.copy())], "far": [items(value + 1)]},
        "base",
        True,
    )
    versus = found["copy"].versus_base
    assert versus is not None
    assert (versus.value, versus.low, versus.high, versus.p, versus.p_holm) == (0, 0, 0, 1, 1)
    assert found["copy"].tier == found["base"].tier == "b"
    assert (found["far"].tier, found["far"].p_best) == ("a", 1)
    assert (found["copy"].rank_low, found["copy"].rank_high) == (2, 3)
    assert (found["copy"].mde, found["base"].mde) == (0, None)


def test_trained_copies_tie_too() -> None:
    seeds = [items(noise(seed)) for seed in (1, 2, 3)]
    found = family({"base": [items(noise(0))], "x": seeds, "y": seeds}, "base", False)
    pair = next(one for one in found.pairs if {one.left, one.right} == {"x", "y"})
    assert (pair.value, pair.low, pair.high, pair.separable) == (0, 0, 0, False)
    assert found.uncertainty == "items and seeds"


def test_an_untrained_copy_ties_however_many_seeds_it_is_listed_under() -> None:
    found = family({"base": [items(noise(1))], "copy": [items(noise(1))] * 3}, "base", True)
    versus = found["copy"].versus_base
    assert versus is not None
    assert (versus.value, versus.low, versus.high) == (0, 0, 0)
    assert (found["copy"].tier, found.uncertainty) == ("a", "items only")


def test_a_constant_difference_has_no_uncertainty() -> None:
    value = noise(1)
    found = family({"base": [items(value)], "up": [items(value + 0.25)]}, "base", True)
    versus = found["up"].versus_base
    assert versus is not None
    assert (versus.value, versus.low, versus.high) == pytest.approx((0.25, 0.25, 0.25))
    assert versus.separable
    assert [one.name for one in found.standings] == ["up", "base"]
    lower = family({"base": [items(value)], "up": [items(value + 0.25)]}, "base", False)
    assert [one.name for one in lower.standings] == ["base", "up"]
    assert lower["base"].tier == "a"
    assert lower.uncertainty == "items only"


def test_the_same_input_gives_the_same_numbers() -> None:
    def once() -> Comparison:
        records = {f"m{seed}": [items(noise(seed)), items(noise(seed + 50))] for seed in range(4)}
        return family(records, "m0", True)

    assert once() == once()


def slow(tables: Sequence[tuple[Floats, Floats]], resamples: int, seed: int) -> list[list[float]]:
    """The two-level cluster bootstrap in plain loops, with draws of its own."""
    draw = np.random.default_rng(seed)
    rows = []
    clusters = tables[0][0].shape[1]
    for _ in range(resamples):
        picked = draw.integers(0, clusters, clusters)
        seeds = {size: draw.integers(0, size, size) for size in {len(v) for v, _ in tables}}
        row = []
        for value, weight in tables:
            ratios = [
                sum(one[at] for at in picked) / sum(other[at] for at in picked)
                for one, other in zip(value, weight, strict=True)
            ]
            size, mean = len(ratios), sum(ratios) / len(ratios)
            drawn = sum(ratios[at] for at in seeds[size]) / size
            row.append(mean + (seed_stretch(size) * (drawn - mean) if size > 1 else 0.0))
        rows.append(row)
    return rows


def test_the_bootstrap_equals_a_slow_one() -> None:
    draw = np.random.default_rng(0)
    tables = [
        (draw.gamma(2, 1, (seeds, 25)) + draw.normal(size=(seeds, 1)), draw.uniform(1, 3, (1, 25)))
        for seeds in (1, 3, 3)
    ]
    tables = [(value, np.repeat(weight, len(value), axis=0)) for value, weight in tables]
    fast = bootstrap(tables, resamples=20_000, seed=1)
    other = np.array(slow(tables, 2_000, 2))
    assert fast.mean(axis=0) == pytest.approx(other.mean(axis=0), abs=0.03)
    assert np.cov(fast.T) == pytest.approx(np.cov(other.T), rel=0.15, abs=0.003)


def test_clusters_are_drawn_whole() -> None:
    # Four items of each cluster say the same: the interval is that of the clusters alone.
    value = noise(3, 50)
    alone = family({"b": [items(value * 0)], "m": [items(value)]}, "b", True)["m"]
    cluster = [number // 4 for number in range(200)]
    copies = family(
        {
            "b": [items(np.zeros(200), cluster)],
            "m": [items(np.repeat(value, 4), cluster)],
        },
        "b",
        True,
    )
    assert copies.clusters == 50
    assert (copies["m"].low, copies["m"].high) == pytest.approx((alone.low, alone.high), abs=0.05)


def test_memory_is_bounded_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [(noise(1).reshape(1, -1), np.ones((1, 200)))]
    whole = bootstrap(tables, resamples=2_000)
    monkeypatch.setattr(resample, "_DRAWS", 200 * 64)
    assert bootstrap(tables, resamples=2_000).std() == pytest.approx(whole.std(), rel=0.06)


def test_the_interval_covers_the_truth() -> None:
    """Simulated: paired differences of true size 0.3; nominal 95 %."""
    draw, hits, trials = np.random.default_rng(5), 0, 200
    for _ in range(trials):
        value = draw.normal(size=120)
        cluster = np.arange(120) // 2
        delta = 0.3 + draw.normal(0, 0.5, 60)[cluster] + draw.normal(0, 0.5, 120)
        found = family(
            {"base": [items(value, cluster)], "m": [items(value + delta, cluster)]},
            "base",
            True,
            resamples=800,
        )["m"].versus_base
        assert found is not None
        hits += found.low <= 0.3 <= found.high
    assert 0.91 <= hits / trials <= 0.98


def test_seeds_widen_the_interval_as_they_should() -> None:
    shifts = np.array([-0.2, 0.1, 0.4])
    tables = [(np.ones((3, 40)) * shifts[:, None], np.ones((3, 40)))]
    drawn = bootstrap(tables, resamples=40_000)
    assert float(drawn.var()) == pytest.approx(
        shifts.var(ddof=1) / 3 * (4.3027 / 1.96) ** 2, rel=0.03
    )
    assert seed_stretch(2) == pytest.approx(math.sqrt(2) * 12.7062 / 1.96, rel=1e-4)
    # t with 29 degrees of freedom: 2.0452.
    assert seed_stretch(30) == pytest.approx(math.sqrt(30 / 29) * 2.0452 / 1.96, rel=2e-3)


@pytest.mark.parametrize("seeds", [3, 5])
def test_few_seeds_still_cover_the_truth(seeds: int) -> None:
    """Simulated: trainings that differ more than items do; nominal 95 %."""
    draw, hits, trials = np.random.default_rng(seeds), 0, 400
    for trial in range(trials):
        table = draw.normal(size=(seeds, 1)) + draw.normal(0, 0.5, (1, 60))
        low, high = np.quantile(
            bootstrap([(table, np.ones_like(table))], resamples=400, seed=trial), [0.025, 0.975]
        )
        hits += low <= 0 <= high
    assert 0.91 <= hits / trials <= 0.99


def test_a_handful_of_items_proves_nothing() -> None:
    few = family({"base": [items([0.0] * 4)], "m": [items([1.0] * 4)]}, "base", True)["m"]
    assert few.versus_base is not None
    assert few.versus_base.p == 0.125
    assert not few.versus_base.separable


def test_the_mde_is_what_would_be_found_in_eight_of_ten() -> None:
    draw, found, trials = np.random.default_rng(7), 0, 150
    deviation, size = 1.0, 100
    mde = (1.96 + 0.8416) * deviation / math.sqrt(size)
    stated = []
    for _ in range(trials):
        delta = mde + draw.normal(0, deviation, size)
        one = family(
            {"base": [items(delta * 0)], "m": [items(delta)]}, "base", True, resamples=600
        )["m"]
        assert one.versus_base is not None
        assert one.mde is not None
        stated.append(one.mde)
        found += one.versus_base.p < 0.05
    assert float(np.mean(stated)) == pytest.approx(mde, rel=0.05)
    assert 0.73 <= found / trials <= 0.88


def test_p_values_agree_with_intervals_and_survive_large_families() -> None:
    drawn = np.random.default_rng(0).normal(2.0, 1.0, 10_000)
    assert p_value(2.0, drawn, 99) == pytest.approx(math.erfc(2 / math.sqrt(2)), rel=0.15)
    far = np.random.default_rng(0).normal(8.0, 1.0, 10_000)
    assert p_value(8.0, far, 99) < 1e-12
    assert p_value(-8.0, -far, 99) == p_value(8.0, far, 99)
    assert p_value(0.0, np.zeros(100), 99) == 1


def test_ranks_by_hand() -> None:
    good = np.array([[3.0, 2, 1], [3, 2, 1], [1, 2, 3], [3, 3, 1]])
    p_best, low, high = ranks(good)
    assert p_best == pytest.approx([(1 + 1 + 0.5) / 4, 0.5 / 4, 1 / 4])
    assert low.tolist() == [1, 1, 1]
    assert high.tolist() == [3, 2, 3]


def test_tiers_and_families() -> None:
    value, step = noise(0), noise(9) * 0.01
    found = family(
        {
            "base": [items(value)],
            "good": [items(value + 1 + step)],
            "same": [items(value + 1 + noise(4) * 0.01)],
        },
        "base",
        True,
    )
    assert {one.name: one.tier for one in found.standings} == {
        "good": "a",
        "same": "a",
        "base": "b",
    }
    assert len(found.pairs) == 3
    assert found["base"].versus_base is None


def test_items_that_some_model_lacks_are_dropped_for_all() -> None:
    whole = items(noise(1))
    part = whole.only(whole.item[10:])
    found = family({"base": [whole], "m": [part]}, "base", True)
    assert (found.items, found.dropped) == (190, 10)
    assert found["m"].score == found["base"].score


def test_what_cannot_be_compared() -> None:
    with pytest.raises(BadData, match="'nobody' is not among"):
        family({"base": [items([1.0])]}, "nobody", True)
    with pytest.raises(BadData, match="without records"):
        family({"base": [items([1.0])], "m": []}, "base", True)
    other = Items(np.array(["x"]), np.array(["x"]), np.ones(1), np.ones(1))
    with pytest.raises(BadData, match="share no item"):
        family({"base": [items([1.0])], "m": [other]}, "base", True)


def test_a_difference_that_one_prompt_turns_round() -> None:
    def pair(left: str, right: str, value: float, p_holm: float) -> Difference:
        return Difference(left, right, value, value, value, p_holm, p_holm)

    pairs = [pair("a", "b", 1, 0.01), pair("a", "c", 3, 0.01), pair("b", "c", 2, 0.2)]
    prompts = {"a": [2.0, 3.0, 4.0], "b": [1.0, 1.0, 5.0], "c": [0.0, 0.0, 0.0]}
    assert turned(pairs, prompts) == (pairs[0],)
    assert turned(pairs, {"a": prompts["a"]}) == ()


def test_an_order_that_hangs_on_one_seed() -> None:
    trainings = [items(np.full(50, score)) for score in (2.9, 3.0, 3.1)]
    steady = {"base": [items(np.full(50, 1.0))], "a": trainings}
    found = family(steady, "base", higher=True)
    assert found.pairs[0].separable and fragile(found) == ()
    # One seed of three makes the whole difference.
    pair = Difference("a", "base", 1.0, 0.5, 1.5, 0.01, 0.01)
    standings = [replace(found["a"], seeds=(0.5, 0.5, 5.0)), found["base"]]
    assert fragile(replace(found, standings=tuple(standings), pairs=(pair,))) == (pair,)
