from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from kollama2.evaluation.letters import compact_letters


def pairs(*names: str) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in names}


def test_nobody_separable_share_a() -> None:
    assert compact_letters("xyz", set()) == {"x": "a", "y": "a", "z": "a"}


def test_everybody_separable() -> None:
    assert compact_letters("xyz", pairs("xy", "xz", "yz")) == {"x": "a", "y": "b", "z": "c"}


def test_a_chain() -> None:
    # x > z only: y stands between both.
    assert compact_letters("xyz", pairs("xz")) == {"x": "a", "y": "ab", "z": "b"}


def test_an_order_where_pairs_skip() -> None:
    # By hand: {x,y}, {y,z,w}: x differs from z and w.
    assert compact_letters("xyzw", pairs("xz", "xw")) == {"x": "a", "y": "ab", "z": "b", "w": "b"}


def test_a_square_needs_two_letters_each() -> None:
    # x-w and y-z differ; the maximal groups are xy, xz, yw, zw.
    assert compact_letters("xyzw", pairs("xw", "yz")) == {
        "x": "ab",
        "y": "ac",
        "z": "bd",
        "w": "cd",
    }


def test_more_columns_than_letters() -> None:
    names = [f"m{number:02}" for number in range(60)]
    letters = compact_letters(names, {frozenset(pair) for pair in combinations(names, 2)})
    assert letters["m25"] == "z"
    assert letters["m26"] == "A"
    assert letters["m52"] == "α"
    assert len(set(letters.values())) == 60


@given(st.integers(1, 7), st.data())
def test_two_share_a_letter_exactly_if_not_separable(size: int, data: st.DataObject) -> None:
    names = "abcdefg"[:size]
    every = [frozenset(pair) for pair in combinations(names, 2)]
    separable = data.draw(st.sets(st.sampled_from(every))) if every else set()
    letters = compact_letters(names, separable)
    assert all(letters.values())
    for pair in every:
        left, right = pair
        assert bool(set(letters[left]) & set(letters[right])) == (pair not in separable)
    # No letter is more than it needs: no column lies within another.
    columns = {
        letter: {name for name in names if letter in letters[name]}
        for letter in set("".join(letters.values()))
    }
    assert not any(one < other for one in columns.values() for other in columns.values())
