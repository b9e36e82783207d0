"""Reorder: the rows of several sources as one file, in the order of a curriculum."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

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
from kollama2.data.rows import RowWriter
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
    sums = _write(file, plan.names, tables, sources, learned, progress)
    figures: dict[str, Any] = {key: sums[key] for key in ("rows", "tokens", "bytes", "ko_bytes")}
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
) -> dict[str, int]:
    ids = [table.names(list(range(len(table)))) for table in tables]
    with closing(RowWriter(file)) as rows:
        for done, (source, row) in enumerate(zip(sources.tolist(), learned.tolist(), strict=True)):
            table = tables[source]
            if done and done % _AT_ONCE == 0:
                rows.flush()
                progress(done, len(sources), mark("rows"))
            size, korean = int(table.bytes[row]), int(table.ko_bytes[row])
            tokens, labels = table.raw(row)
            rows.put(f"{names[source]}:{ids[source][row]}", tokens, labels, size, korean)
    progress(len(sources), len(sources), mark("rows"))
    return rows.sums
