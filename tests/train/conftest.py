"""Rows for training tests: English and Korean sentences, encoded without the data package."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def write_rows(
    folder: Path,
    ids: list[list[int]],
    labels: list[list[int]] | None = None,
    sizes: list[int] | None = None,
) -> Path:
    folder.mkdir(parents=True)
    sizes = sizes or [3 * len(row) for row in ids]
    table = pa.table(
        {
            "id": [f"row-{i}" for i in range(len(ids))],
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "labels": pa.array(labels or ids, pa.list_(pa.int32())),
            "bytes": pa.array(sizes, pa.int32()),
            "ko_bytes": pa.array([s // 2 for s in sizes], pa.int32()),
        }
    )
    pq.write_table(table, folder / "rows.parquet")
    (folder / "encoding.json").write_text(json.dumps({"template": "llama2"}))
    return folder


def some_ids(
    count: int, *, seed: int = 0, low: int = 4, high: int = 40, vocab: int = 32
) -> list[list[int]]:
    """Rows with a pattern a model can learn: each token follows from the one before."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        first, length = int(random.integers(3, vocab)), int(random.integers(low, high))
        rows.append([1, *((first + 7 * k) % (vocab - 3) + 3 for k in range(length - 1))])
    return rows


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """48 rows of 4 to 39 tokens; the loss is on the second half of each."""
    ids = some_ids(48)
    labels = [[-100] * (len(row) // 2) + row[len(row) // 2 :] for row in ids]
    return write_rows(tmp_path / "rows", ids, labels)


def silent(*_: object, **__: object) -> None:
    """A progress that nobody watches."""


Progress = Callable[..., None]
