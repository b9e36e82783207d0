import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.data.mix import select, shuffled
from kollama2.errors import BadData, BadUsage


def sizes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_an_order_is_a_function_of_seed_and_row():
    assert shuffled(6, 0, 0).tolist() == shuffled(6, 0, 0).tolist()
    orders = {tuple(shuffled(50, seed, source)) for seed in range(5) for source in range(5)}
    assert len(orders) == 25
    # Rows that are added later keep the order of those before.
    longer = [row for row in shuffled(80, 3, 1) if row < 50]
    assert longer == shuffled(50, 3, 1).tolist()


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 2000), st.integers(0, 9)
)
def test_a_budget_is_met_to_the_byte(rows: list[int], budget: int, seed: int):
    (taken,) = select([sizes(*rows)], [None], budget, seed)
    assert taken.sum() == min(budget, sum(rows))
    assert all(0 <= take <= size for take, size in zip(taken, rows, strict=True))
    assert sum(0 < take < size for take, size in zip(taken, rows, strict=True)) <= 1
    (more,) = select([sizes(*rows)], [None], budget + 10, seed)
    assert all(more >= taken)


def test_mixtures_have_their_shares():
    korean, english = sizes(*[10] * 1000), sizes(*[7] * 1000)
    taken = select([korean, english], [0.8, 0.2], 5000, 1)
    assert [one.sum() for one in taken] == [4000, 1000]
    # Without a budget: as much as the shares allow without repeating a row.
    taken = select([korean, english], [3, 1], None, 1)
    assert [one.sum() for one in taken] == [10_000, 3333]
    taken = select([korean, english], [None, None], 1700, 1)
    assert [one.sum() for one in taken] == [1000, 700]


def test_mixtures_that_cannot_be():
    rows = [sizes(10), sizes(1000)]
    with pytest.raises(BadData, match=r"source 1 holds 10 bytes of text but its share .* is 500"):
        select(rows, [1, 1], 1000, 0)
    with pytest.raises(BadUsage, match=r"the weights are \[1, None\]"):
        select(rows, [1, None], 100, 0)
    with pytest.raises(BadUsage, match="the budget is 0 bytes"):
        select(rows, [None, None], 0, 0)
