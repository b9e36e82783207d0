import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kollama2.errors import BadData
from kollama2.evaluation.seeds import Floats
from kollama2.evaluation.statistics import Comparison, Difference, family, fragile, turned
from kollama2.records.items import Items


def items(
    value: Sequence[float] | Floats, cluster: Sequence[int] | None = None, weight: float = 1.0
) -> Items:
    size = len(value)
    ids = np.array([f"{number:05}" for number in range(size)])
    clusters = np.array([str(one) for one in (range(size) if cluster is None else cluster)])
    return Items(ids, clusters, np.asarray(value, dtype=float), np.full(size, weight))


def noise(seed: int, size: int = 200) -> Floats:
    return np.random.default_rng(seed).normal(size=size)


def test_a_copy_of_the_base_ties_exactly() -> None:
    value = noise(1)
    found = family(
        {"base": [items(value)], "copy": [items(value.copy())], "far": [items(value + 1)]},
        "base",
        True,
    )
    versus = found["copy"].versus_base
    assert versus is not None
    assert (versus.value, versus.low, versus.high, versus.p, versus.p_adjusted) == (0, 0, 0, 1, 1)
    assert found["copy"].tier == found["base"].tier == "b"
    assert (found["far"].tier, found["far"].p_best) == ("a", 1)
    assert (found["copy"].rank_low, found["copy"].rank_high) == (2, 3)
    assert (versus.mde, found["base"].versus_base) == (0, None)


def test_trained_copies_tie_too() -> None:
    seeds = [items(noise(seed)) for seed in (1, 2, 3)]
    found = family({"base": [items(noise(0))], "x": seeds, "y": seeds}, "base", False)
    pair = next(one for one in found.pairs if {one.left, one.right} == {"x", "y"})
    # These seeds scatter no more than their items do.
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


def test_a_handful_of_items_proves_nothing() -> None:
    few = family({"base": [items([0.0] * 7)], "m": [items([1.0] * 7)]}, "base", True)
    versus = few["m"].versus_base
    assert versus is not None
    assert versus.value == 1
    assert math.isnan(versus.low) and math.isnan(versus.p) and math.isnan(few["m"].high)
    assert not (few.ranked or versus.separable)
    assert (few["m"].tier, few["m"].p_best, few["m"].rank_low) == ("", None, None)


def test_one_training_of_each_recipe_ranks_nothing() -> None:
    value = noise(1)
    records = {"base": [items(value)], "up": [items(value + 1)], "down": [items(value - 1)]}
    trained = family(records, "base", True, trained=["up", "down"])
    assert not (trained.ranked or any(pair.separable for pair in trained.pairs))
    assert [one.name for one in trained.standings] == ["up", "base", "down"]
    assert {one.tier for one in trained.standings} == {""}
    versus = trained["up"].versus_base
    assert versus is not None  # still a difference between these two models
    assert (versus.value, versus.low, versus.high) == pytest.approx((1, 1, 1))
    given = family(records, "base", True)
    assert given.ranked and [one.tier for one in given.standings] == ["a", "b", "c"]


def test_recipes_lend_each_other_what_seeds_tell() -> None:
    """One training of a recipe is judged by how the trainings of others scatter."""
    value = noise(1) * 0.01
    twice = [items(value + 1.0), items(value + 1.2)]
    records = {"base": [items(value)], "one": [items(value + 1)], "two": twice, "three": twice}
    found = family(records, "base", True, trained=["one", "two", "three"])
    assert found.ranked
    (pair,) = (p for p in found.pairs if {p.left, p.right} == {"one", "two"})
    # Both pairs of trainings tell a standard deviation of .141, with 2 degrees of freedom.
    assert pair.high - pair.low == pytest.approx(2 * 4.3027 * 0.1414 * math.sqrt(1.5), rel=0.1)
    assert not pair.separable


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
        stated.append(one.versus_base.mde)
        found += one.versus_base.p < 0.05
    assert float(np.mean(stated)) == pytest.approx(mde, rel=0.05)
    assert 0.73 <= found / trials <= 0.88


def test_no_interval_of_shares_leaves_what_a_share_can_be() -> None:
    right = [1.0] * 38 + [0.0] * 2
    found = family({"base": [items(np.zeros(40))], "m": [items(right)]}, "base", True)["m"]
    assert found.versus_base is not None
    assert (found.versus_base.value, found.versus_base.high) == (0.95, 1.0)
    assert found.versus_base.low == pytest.approx(0.555, abs=1e-3)
    turned_round = family({"base": [items(right)], "m": [items(np.zeros(40))]}, "base", True)["m"]
    assert turned_round.versus_base is not None
    assert turned_round.versus_base.low == -1.0
    # Half a point is no answer that is right or wrong: only the measure says that it is a share.
    halves = {"base": [items([0.0] * 40)], "m": [items([0.5] * 40), items([0.9] * 40)]}
    free, bounded = (family(halves, "base", True, share=share)["m"] for share in (False, True))
    assert free.low < 0 < 1 < free.high
    assert (bounded.low, bounded.high) == (0.0, 1.0)
    assert bounded.versus_base is not None
    assert bounded.versus_base.high == 1.0


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
    def pair(left: str, right: str, value: float, p: float) -> Difference:
        return Difference(left, right, value, value, value, p, p, 0.5, 1.0, p < 0.05)

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
    pair = Difference("a", "base", 1.0, 0.5, 1.5, 0.01, 0.01, 0.5, 0.5, True)
    standings = [replace(found["a"], seeds=(0.5, 0.5, 5.0)), found["base"]]
    assert fragile(replace(found, standings=tuple(standings), pairs=(pair,))) == (pair,)
