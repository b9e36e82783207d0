"""Rows and the plan of a training: exact budgets, one order for everybody, nothing dropped."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.errors import BadData
from kollama2.train.batches import IGNORED, BatchPlan, Document, Rows, cut, micro_batches, pack
from kollama2.train.settings import TrainSettings
from tests.train.conftest import some_ids, write_rows

LENGTHS = st.lists(st.integers(2, 70), min_size=1, max_size=40).map(np.array)


@given(LENGTHS, st.integers(8, 64))
def test_every_target_is_in_exactly_one_document(lengths: np.ndarray, longest: int) -> None:
    parts, ends = cut(lengths, longest)
    targets = [(row, k) for row, start, stop in parts.tolist() for k in range(start + 1, stop)]
    assert sorted(targets) == [(r, k) for r, n in enumerate(lengths) for k in range(1, n)]
    assert len(ends) == len(lengths) + 1
    assert (parts[:, 2] - parts[:, 1]).max() <= longest


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60).map(np.array))
def test_packing_drops_nothing_and_leaves_little_room(lengths: np.ndarray) -> None:
    packed = pack(lengths, 64)
    assert sorted(k for row in packed for k in row) == list(range(len(lengths)))
    filled = [int(lengths[row].sum()) for row in packed]
    assert max(filled) <= 64
    assert sum(f <= 32 for f in filled) <= 1  # two half-empty rows would have been one


@given(LENGTHS, st.integers(1, 100))
def test_micro_batches_keep_order_and_size(lengths: np.ndarray, tokens: int) -> None:
    parts = [Document(k, 0, int(n)) for k, n in enumerate(lengths)]
    runs = micro_batches(parts, tokens)
    assert [p for run in runs for p in run] == parts
    assert all(len(run) == 1 or sum(p.length for p in run) <= tokens for run in runs)


def plan(rows: Path, **values: object) -> BatchPlan:
    return BatchPlan(Rows(rows), TrainSettings(**{"batch": 5, **values}))


def test_an_epoch_shows_every_row_once(rows: Path) -> None:
    made = plan(rows, epochs=1)
    seen = [part.row for k in range(made.steps) for part in made.step(k)]
    assert sorted(seen) == list(range(48))
    assert made.steps == 10
    assert made.epoch(9) == 1


def test_epochs_differ_and_every_process_agrees(rows: Path) -> None:
    made, other = plan(rows, epochs=3), plan(rows, epochs=3)
    late = [other.step(k) for k in (28, 3, 17)]
    assert late == [made.step(k) for k in (28, 3, 17)]
    first = [made.step(k) for k in range(9)]
    assert first != [plan(rows, epochs=1, seed=1).step(k) for k in range(9)]
    assert made.order(0).tolist() != made.order(1).tolist()


@pytest.mark.parametrize("epochs", [0.25, 1, 2.5])
def test_epochs_are_exact(rows: Path, epochs: float) -> None:
    made = plan(rows, epochs=epochs)
    assert sum(len(made.step(k)) for k in range(made.steps)) == round(48 * epochs)


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("share", [0.3, 1.0, 2.7])
def test_bytes_end_with_the_item_that_reaches_them(rows: Path, packing: bool, share: float) -> None:
    table = Rows(rows)
    budget = int(table.bytes.sum() * share)
    made = plan(rows, bytes=budget, packing=packing, max_length=64)
    seen = sum(made.seen(made.step(k))[0] for k in range(made.steps))
    item = made.parts[made.ends[0] : made.ends[1]]
    largest = max(
        made.seen([Document(*p) for p in made.parts[a:b].tolist()])[0]
        for a, b in zip(made.ends[:-1], made.ends[1:], strict=True)
    )
    assert len(item)
    assert budget <= seen < budget + largest


def test_parts_of_a_row_share_its_bytes(tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "rows", some_ids(3, low=90, high=100), sizes=[1000, 77, 501])
    made = plan(folder, epochs=1, batch=3, max_length=16)
    assert made.seen(made.step(0)) == (1578, 500 + 38 + 250)


def test_packing_counts_packed_rows(rows: Path) -> None:
    made = plan(rows, epochs=1, packing=True, max_length=64)
    tokens = [sum(p.length for p in made.step(k)) for k in range(made.steps)]
    assert sum(tokens) == Rows(rows).lengths.sum()
    assert min(tokens[:-1]) > 0.8 * 5 * 64


def test_rows_give_back_what_was_written(tmp_path: Path) -> None:
    ids = some_ids(20, seed=3)
    table = Rows(write_rows(tmp_path / "rows", ids), tmp_path / "cache")
    for row, wanted in enumerate(ids):
        found, labels = table.tokens(Document(row, 0, len(wanted)))
        assert found.tolist() == wanted
        assert labels.tolist() == [IGNORED, *wanted[1:]]
    assert table.names([4, 2]) == ["row-4", "row-2"]
    assert list((tmp_path / "cache").iterdir()) == []


def test_unfit_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"holds no rows\.parquet"):
        Rows(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match="not a Parquet file"):
        Rows(tmp_path)
    pq.write_table(pa.table({"id": ["a"], "input_ids": [[1, 2]]}), tmp_path / "rows.parquet")
    with pytest.raises(BadData, match="lacks the columns labels, bytes, ko_bytes"):
        Rows(tmp_path)
    with pytest.raises(BadData, match="holds no rows"):
        Rows(write_rows(tmp_path / "none", []))
    with pytest.raises(BadData, match="under two tokens"):
        Rows(write_rows(tmp_path / "short", [[1, 5], [1]]))
    empty = write_rows(tmp_path / "empty", [[1, 5]], sizes=[0])
    with pytest.raises(BadData, match="set epochs or steps"):
        BatchPlan(Rows(empty), TrainSettings(bytes=100))
