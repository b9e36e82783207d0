"""SQL over the records of a store: `stages`, `scores`, `items`, `curves`, by DuckDB, read-only."""

import json
import math
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kollama2.errors import BadUsage, first_line, writable
from kollama2.records.items import ITEMS
from kollama2.records.read import Json
from kollama2.reporting.study import FinishedStage, load, read_stage

if TYPE_CHECKING:
    import duckdb

SECONDS, MEMORY, ROWS = 60.0, "2GB", 1_000_000  # that one statement may take
VIEWS = {
    "stages": "stage VARCHAR, kind VARCHAR, key VARCHAR, seconds DOUBLE, peak_memory_bytes BIGINT, "
    "finished VARCHAR, kollama2 VARCHAR, metrics JSON, record JSON, settings JSON",
    "scores": "study VARCHAR, recipe VARCHAR, seed BIGINT, suite VARCHAR, base BOOLEAN, "
    "measure VARCHAR, score DOUBLE, stage VARCHAR, model VARCHAR",
    "items": "stage VARCHAR, task VARCHAR, measure VARCHAR, item VARCHAR, cluster VARCHAR, "
    "value DOUBLE, weight DOUBLE",
    "curves": "stage VARCHAR, step BIGINT, loss DOUBLE, lr DOUBLE, tokens BIGINT, seconds DOUBLE",
}


@dataclass(frozen=True)
class QueryResult:
    """The answer to a query: column names and rows of plain values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(store: Path, sql: str) -> QueryResult:
    """Answer one SQL statement over the finished stages of a store.

    Views: `stages` (one row per finished stage; `metrics`, `record` and `settings` are JSON),
    `scores` (one row per cell of a study and measure), `items` (one row per scored item) and
    `curves` (one row per logged training step). The statement sees nothing else: no file can be
    read or written by it.

    Args:
        store: the folder of the store.
        sql: one statement, e.g. `SELECT recipe, avg(score) FROM scores GROUP BY recipe`.

    Raises:
        BadUsage: the statement is not valid or takes too much, or there is no such store.
        Corrupt: a record cannot be read.
    """
    import duckdb

    store = Path(store)
    if not store.is_dir():
        raise BadUsage(f"There is no store at {store}; name its folder")
    if not writable(sql):  # what the shell gave was no text
        raise BadUsage("The query holds bytes that are no UTF-8; type it again")
    readers: dict[str, Callable[[Path], Iterator[Json]]] = {
        "stages": _stages,
        "scores": _scores,
        "items": _lines(ITEMS),
        "curves": _lines("metrics.jsonl"),
    }
    with duckdb.connect(":memory:") as connection, tempfile.TemporaryDirectory() as scratch:
        wanted = [name for name in readers if name in sql.lower()]
        for name in readers:
            rows = readers[name](store) if name in wanted else iter(())
            _table(connection, name, rows, Path(scratch) / f"{name}.jsonl")
        # From here on the statement is a stranger's.
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("SET temp_directory = ''")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        stop = threading.Timer(SECONDS, connection.interrupt)
        stop.daemon = True
        try:
            statements = duckdb.extract_statements(sql)
            kinds = [one.type for one in statements]
            if len(kinds) != 1 or kinds[0] not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise BadUsage("A query is exactly one SELECT (or DESCRIBE, SHOW, EXPLAIN)")
            stop.start()
            answer = connection.execute(statements[0])
            columns = tuple(column[0] for column in answer.description or ())
            found = tuple(answer.fetchmany(ROWS + 1))
        except duckdb.InterruptException as error:
            raise BadUsage(
                f"The query took longer than {SECONDS:g} s; ask for less of it (WHERE, LIMIT)"
            ) from error
        except duckdb.Error as error:
            first = first_line(error)
            views = "; ".join(
                f"{name}({', '.join(re.findall(r'([a-z_0-9]+) ', columns))})"
                for name, columns in VIEWS.items()
            )
            raise BadUsage(f"The query cannot be answered: {first}. Views: {views}") from error
        finally:
            stop.cancel()
    if len(found) > ROWS:
        raise BadUsage(f"The query has more than {ROWS:,} rows; ask for less of it (WHERE, LIMIT)")
    return QueryResult(columns, found)


def _table(
    connection: "duckdb.DuckDBPyConnection", name: str, rows: Iterator[Json], file: Path
) -> None:
    """Fill a table through a file of JSON lines, which DuckDB reads far faster than values."""
    connection.execute(f"CREATE TABLE {name} ({VIEWS[name]})")
    fields = dict(column.split() for column in VIEWS[name].split(", "))
    # Halves of characters, which JSON can hold, become question marks.
    with file.open("w", encoding="utf-8", errors="replace") as lines:
        empty = True
        for row in rows:
            empty = False
            known = {field: row.get(field) for field in fields}
            lines.write(json.dumps(known, ensure_ascii=False) + "\n")
    if empty:
        return
    types = ", ".join(f"{field}: '{kind}'" for field, kind in fields.items())
    connection.execute(
        f"INSERT INTO {name} SELECT * FROM read_json(?, format = 'newline_delimited', "  # noqa: S608
        f"columns = {{{types}}})",
        [str(file)],
    )


def _finished(store: Path) -> Iterator[FinishedStage]:
    """The finished stages; the folder of an unfinished one has a dot in its name."""
    for folder in sorted(store.iterdir()):
        if "." not in folder.name and (stage := read_stage(folder)) is not None:
            yield stage


def _stages(store: Path) -> Iterator[Json]:
    for stage in _finished(store):
        record = stage.record.plain()
        yield {**record, "stage": stage.name, "record": record, "settings": stage.settings}


def _scores(store: Path) -> Iterator[Json]:
    for file in sorted((store / "studies").glob("*.json")):
        study = load(store, file.stem)
        for cell in study.cells:
            if not cell.done:
                continue
            for measure, score in study.stages[cell.evaluate].evaluation.scores.items():
                same = {"study": study.name, "stage": cell.evaluate, "measure": measure}
                yield {**cell.plain(), **same, "score": None if math.isnan(score) else score}


def _lines(name: str) -> Callable[[Path], Iterator[Json]]:
    """Read a file of every stage that has one of this name."""

    def read(store: Path) -> Iterator[Json]:
        for stage in _finished(store):
            for line in stage.lines(name):
                yield {**line, "stage": stage.name}

    return read
