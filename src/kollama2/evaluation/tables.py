"""Raw rows of data files in every format, and of copies of the hub's data sets."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from kollama2.errors import BadData, first_line

Numbered: TypeAlias = Iterator[tuple[int, Mapping[Any, Any]]]
"""Rows with the number of their line, or of the row in lists and Parquet files, from 1."""


def hub_rows(task: str, place: Path, config: str | None, split: str) -> Numbered:
    """One split of a copy of a hub's data set, read as its card says.

    Args:
        task: whose data they are, for messages.
        place: the folder with the files of the repository.
        config: configuration; the only or first one if None.
        split: the name of the split.

    Raises:
        BadData: the folder has no such configuration or split, or cannot be read.
    """
    import datasets  # a second

    wanted = f"{config or 'its data'}, split {split!r}"
    try:
        # As a stream, so that nothing is copied into a cache and no older copy is read from it.
        names = datasets.get_dataset_config_names(str(place))
        found = datasets.load_dataset(str(place), config or names[0], split=split, streaming=True)
        yield from enumerate((dict(row) for row in found), 1)
    except (
        datasets.exceptions.DatasetsError, OSError, ValueError, KeyError, TypeError
    ) as error:  # fmt: skip
        raise BadData(
            f"task {task}: {place} cannot be read as a data set of the hub ({wanted}): "
            f"{first_line(error)}; name one of its files in the task's `file`, or a file in the "
            "mirrors file"
        ) from error


def file_rows(task: str, path: Path, form: str, *, header: bool = True) -> Numbered:
    """The rows of a file; blank lines are none.

    Args:
        task: whose data they are, for messages.
        path: the file.
        form: one of `kinds.FileFormat`.
        header: whether the first line of a table names its columns; else they are called 0, 1, ….

    Raises:
        BadData: it cannot be read as what it says it is.
    """
    name = f"task {task}: {path}"
    if form == "parquet":
        yield from enumerate(_parquet(name, path), 1)
        return
    if form in ("tsv", "csv"):
        yield from _cells(name, path, form, header=header)
        return
    text = path.read_text(encoding="utf-8-sig")
    if form == "json" or (form == "jsonl" and text.lstrip().startswith("[")):
        # Some data sets of the hub call a list of rows .jsonl.
        listed = _parsed(name, text)
        if not isinstance(listed, list):
            raise BadData(f"{name} is no list of JSON objects")
        for number, row in enumerate(listed, 1):
            yield number, _object(f"{name} row {number}", row)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if form == "lines":
            yield number, {"text": line.rstrip("\r")}
        else:
            row = _parsed(name, line, f"line {number}: ")
            yield number, _object(f"{name} line {number}", row)


def _parsed(name: str, text: str, place: str = "") -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData(f"{name} cannot be read: {place}{error}") from error


def _object(where: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise BadData(f"{where} is not a JSON object")
    return row


def _parquet(name: str, path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{name} is no Parquet file: {error}") from error
    return rows


def _cells(name: str, path: Path, form: str, *, header: bool) -> Numbered:
    """Rows of a TSV file, which has no quoting, or of a CSV file."""
    tabs: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if form == "tsv" else {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, **tabs)
        columns: Sequence[str | int] | None = None
        for cells in filter(None, reader):
            if columns is None:
                columns = cells if header else range(len(cells))
                if header:
                    continue
            if len(cells) > len(columns):
                raise BadData(
                    f"{name} line {reader.line_num} has {len(cells)} cells where {len(columns)} "
                    "were expected"
                )
            yield reader.line_num, dict(zip(columns, cells, strict=False))


def line_pairs(task: str, en: Path, ko: Path) -> Numbered:
    """Rows of two files whose lines belong together; blank pairs are left out.

    Raises:
        BadData: they are not of as many lines.
    """
    lines = [path.read_text(encoding="utf-8-sig").splitlines() for path in (en, ko)]
    if len(lines[0]) != len(lines[1]):
        raise BadData(
            f"task {task}: {en.name} has {len(lines[0])} lines and {ko.name} {len(lines[1])}; "
            "they must belong together line by line"
        )
    for number, (left, right) in enumerate(zip(*lines, strict=True), 1):
        if left.strip() and right.strip():
            yield number, {"en": left.strip(), "ko": right.strip()}
