"""Listings: how far the cells of a study are, and answers to queries."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from kollama2.api.checked import checked
from kollama2.api.places import mirrors_at, store_at
from kollama2.api.plan import planned, states
from kollama2.api.shown import WIDTH, Shown
from kollama2.engine.store import Store
from kollama2.locale import Message, mark, say
from kollama2.reporting.query import query as ask


@dataclass(frozen=True)
class Listing(Shown):
    """Rows of plain values.

    Attributes:
        columns: their names.
        cells: the values, row by row.
        states: of a study's cells, the last column, which a table says in the chosen language.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[Any, ...], ...] = field(repr=False)
    states: tuple[Message, ...] = field(default=(), repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a row; of two columns by one name the last."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.cells]

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """One table; what is None is left blank."""
        rows: Iterable[tuple[Any, ...]] = self.cells
        if self.states:
            rows = ((*row[:-1], one.said()) for row, one in zip(rows, self.states, strict=True))
        table = Table(*(map(say, self.columns) if self.states else self.columns))
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        return [table]


@checked
def status(
    study: str | Path | None = None,
    *,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
) -> Listing:
    """Tell how far each cell of a study is, also while another process computes it.

    Args:
        study: YAML file or name of a study; None: the embedded one.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.

    Returns:
        One row a cell: recipe, seed, suite and state.

    Raises:
        Fault: the study, or something that it names, is impossible or cannot be read.
    """
    place = store_at(store)
    found = list(states(*planned(study, place, mirrors_at(mirrors)), Store(place)))
    cells = tuple((*cell, str(state)) for *cell, state in found)
    columns = (mark("recipe"), mark("seed"), mark("suite"), mark("state"))
    return Listing(columns, cells, tuple(state for *_, state in found))


@checked
def query(sql: str, *, store: str | Path | None = None) -> Listing:
    """Query the records of all finished stages with SQL.

    Args:
        sql: one SELECT over the views `stages`, `scores`, `items` and `curves`; it sees nothing
            else.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.

    Returns:
        The answer.

    Raises:
        BadUsage: the statement is not valid or takes too much, or there is no such store.
        Corrupt: a record cannot be read.
    """
    found = ask(store_at(store), sql)
    return Listing(found.columns, found.rows)
