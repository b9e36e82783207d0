"""Raw rows of data files: Parquet, lists in JSON, and copies of the hub's data sets."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, first_line


def hub_rows(
    task: str, place: Path, config: str | None, split: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row number from 1, row) of one split of a copy of a hub's data set, read as its card says.

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


def parquet_rows(task: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row number from 1, row) of a Parquet file.

    Raises:
        BadData: it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"task {task}: {path} is no Parquet file: {error}") from error
    yield from enumerate(rows, 1)


def listed_rows(task: str, path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row number from 1, row) of a JSON list of objects.

    Raises:
        BadData: it is none.
    """
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData(f"task {task}: {path}: {error}") from error
    if not isinstance(rows, list):
        raise BadData(f"task {task}: {path} is no list of JSON objects")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadData(f"task {task}: {path} row {number} is not a JSON object")
        yield number, row
