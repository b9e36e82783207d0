"""Reorder: the rows of several sources as one file, in the order of a curriculum."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow
from pyarrow import parquet

from kollama2.data.curriculum import (
    Curriculum,
    Floats,
    Ints,
    OrderName,
    Sizes,
    arrange,
    take,
    wanted,
)
from kollama2.data.rows import SCHEMA
from kollama2.locale import mark

_AT_ONCE = 1024


class Table(Protocol):
    """The encoded rows of one source."""

    lengths: Ints
    bytes: Ints
    ko_bytes: Ints

    def __len__(self) -> int:
        """How many rows there are."""

    def raw(self, row: int) -> tuple[Any, Any]:
        """Token ids and labels of a row."""

    def names(self, rows: list[int]) -> list[str]:
        """The ids of these rows."""


def reorder(
    plan: Curriculum,
    tables: Sequence[Table],
    file: Path,
    *,
    order: OrderName,
    size: int | None,
    korean: int | None,
    mix_by: Literal["bytes", "tokens"],
    difficulty: Sequence[Floats] | None,
    start: float,
    seed: int,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Write the rows that a curriculum learns, in its order.

    Args:
        plan: the mixture over progress.
        tables: the rows of each source.
        file: the Parquet file to write.
        order: how the curriculum is followed, see `arrange`.
        size: UTF-8 bytes of text in all, or
        korean: UTF-8 bytes of Hangul in all.
        mix_by: whether shares count bytes or tokens.
        difficulty: of each row of each source; None leaves them in random order.
        start: share of the easiest rows that training begins with.
        seed: which rows of a source are taken, and everything random in their order.
        progress: called with rows done, rows in all and the unit.

    Returns:
        Rows, tokens and bytes in all, and of each source its bytes and how often it is repeated.
    """
    whole = [Sizes(t.lengths.sum(), t.bytes.sum(), t.ko_bytes.sum()) for t in tables]
    chosen = [
        take(table.bytes, want, seed, number)
        for number, (table, want) in enumerate(
            zip(tables, wanted(plan, whole, size, korean, mix_by), strict=True)
        )
    ]
    hard = None
    if difficulty is not None:
        hard = [one[rows] for one, rows in zip(difficulty, chosen, strict=True)]
    sizes = [table.bytes[rows] for table, rows in zip(tables, chosen, strict=True)]
    sources, places = arrange(plan, sizes, order, difficulty=hard, start=start, seed=seed)
    learned = np.empty(len(sources), dtype=np.int64)
    for number, rows in enumerate(chosen):
        learned[sources == number] = rows[places[sources == number]]
    _write(file, plan.names, tables, sources, learned, progress)
    figures: dict[str, Any] = {"rows": len(sources), "tokens": 0, "bytes": 0, "ko_bytes": 0}
    for table, rows in zip(tables, chosen, strict=True):
        figures["tokens"] += int(table.lengths[rows].sum())
        figures["bytes"] += int(table.bytes[rows].sum())
        figures["ko_bytes"] += int(table.ko_bytes[rows].sum())
    for name, table, text, rows in zip(plan.names, tables, sizes, chosen, strict=True):
        figures[f"bytes_{name}"] = int(text.sum())
        figures[f"epochs_{name}"] = round(len(rows) / len(table), 3)
    return figures


def _write(
    file: Path,
    names: Sequence[str],
    tables: Sequence[Table],
    sources: Ints,
    learned: Ints,
    progress: Callable[[int, int, str], None],
) -> None:
    ids = [table.names(list(range(len(table)))) for table in tables]
    with parquet.ParquetWriter(file, SCHEMA, compression="zstd", use_dictionary=False) as rows:
        for begin in range(0, len(sources), _AT_ONCE):
            end = begin + _AT_ONCE
            picked = list(
                zip(sources[begin:end].tolist(), learned[begin:end].tolist(), strict=True)
            )
            batch = {
                "id": [f"{names[s]}:{ids[s][row]}" for s, row in picked],
                "input_ids": [tables[s].raw(row)[0] for s, row in picked],
                "labels": [tables[s].raw(row)[1] for s, row in picked],
                "bytes": [int(tables[s].bytes[row]) for s, row in picked],
                "ko_bytes": [int(tables[s].ko_bytes[row]) for s, row in picked],
            }
            rows.write_table(pyarrow.table(batch, schema=SCHEMA))
            progress(begin + len(picked), len(sources), mark("rows"))
