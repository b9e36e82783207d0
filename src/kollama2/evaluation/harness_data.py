"""The data of lm-eval tasks from local places, in the place of what their files name."""

import csv
import glob
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets

from kollama2.errors import BadData
from kollama2.evaluation.kinds import Harness
from kollama2.evaluation.rows import nfc
from kollama2.evaluation.tables import file_rows

# What the name of a file calls a split.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_SUFFIXES = (".tsv", ".csv", ".jsonl", ".json", ".parquet")


def data_overrides(task: Harness, about: Mapping[str, Any]) -> dict[str, Any]:
    """What replaces the data that a task's file names.

    Splits that the data lack leave the settings: then the items are those of validation where there
    is no test, as lm-eval has it, and no examples can be drawn where there is no train.

    Args:
        task: with `data` and `files` resolved to local places.
        about: what the task's file says.

    Raises:
        BadData: the data cannot be read, or lack a split that the task needs.
    """
    if not task.data and not task.files:
        return {}
    place = Path(task.data)
    name = about.get("dataset_name")
    if not task.files and place.is_dir() and (known := _hub_splits(place, name)):
        found = {"dataset_path": str(place), "dataset_kwargs": {}}
        return {**found, **_splits(task, about, known)}
    if task.files:
        files = {split: _file(task, place, pattern) for split, pattern in task.files.items()}
    elif place.is_dir():
        files = _by_name(task, place, str(name or ""))
    else:
        files = {"test": place}
        about = {**about, "test_split": "test"}
    read: Callable[..., Any] = lambda **_: {  # noqa: E731
        split: _dataset(task, file) for split, file in files.items()
    }
    return {"custom_dataset": read, **_splits(task, about, files)}


def _hub_splits(place: Path, name: str | None) -> list[str]:
    """The splits of a copy of a hub's data set; none where it does not know the configuration."""
    try:
        names = datasets.get_dataset_config_names(str(place))
        if (name or names[0]) not in names:
            return []
        return list(datasets.get_dataset_split_names(str(place), name))
    except (FileNotFoundError, ValueError):  # no data files, or none that it reads
        return []


def _splits(task: Harness, about: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The task's settings of splits, those that the data lack left out.

    Raises:
        BadData: no items are left, or examples are asked for and there is nothing to draw from.
    """
    known = list(known)
    kinds = ("training_split", "validation_split", "test_split", "fewshot_split")
    asked = {kind: about.get(kind) for kind in kinds}
    splits = {kind: split if split in known else None for kind, split in asked.items()}
    shots = task.num_fewshot if task.num_fewshot is not None else about.get("num_fewshot") or 0
    source = asked["fewshot_split"] or asked["training_split"]
    if shots and source and source not in known:
        raise BadData(
            f"task {task.name}: its {shots} examples are drawn from the split {source!r}, and the "
            f"data have {', '.join(known)}; name its file in the task's `files`, or ask for no "
            "examples"
        )
    if not splits["test_split"] and not splits["validation_split"] and "validation" in known:
        splits["validation_split"] = "validation"
    if not splits["test_split"] and not splits["validation_split"]:
        raise BadData(
            f"task {task.name}: its items are those of the split {asked['test_split']!r}, and the "
            f"data have {', '.join(known)}; name its file in the task's `files`"
        )
    return {kind: split for kind, split in splits.items() if split != asked[kind]}


def _by_name(task: Harness, place: Path, name: str) -> dict[str, Path]:
    """The file of each split in a folder, by the words of its path.

    Where several data sets lie in a folder, as in KoBEST's (`COPA/dev.tsv`, `COPA.dev.tsv`), it is
    the one whose path has the configuration's name and the fewest other words.

    Raises:
        BadData: no file says its split, or several say the same one.
    """
    words = {
        path: _words(str(path.relative_to(place)))
        for path in sorted(place.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    }
    named = {path: said for path, said in words.items() if _words(name) <= said} or words
    files: dict[str, Path] = {}
    for split, called in _SPLITS.items():
        fitting = [path for path, said in named.items() if said & set(called)]
        least = min((len(named[path]) for path in fitting), default=0)
        found = [path for path in fitting if len(named[path]) == least]
        if len(found) > 1:
            listed = ", ".join(str(path.relative_to(place)) for path in found[:4])
            raise BadData(
                f"task {task.name}: {place} holds {len(found)} files for the split {split} of "
                f"{name or 'the data'} ({listed}); name one in the task's `files`"
            )
        for one in found:
            files[split] = one
            files |= {alias: one for alias in called if alias in named[one]}
    if not files:
        raise BadData(
            f"task {task.name}: no file in {place} has train, dev, validation or test in its name; "
            "say which file is which split in the task's `files`"
        )
    return files


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.casefold()))


def _file(task: Harness, place: Path, pattern: str) -> Path:
    if Path(pattern).is_absolute():  # a uri of its own, resolved
        return Path(pattern)
    if place.is_file():
        return place
    found = sorted(glob.glob(pattern, root_dir=place, recursive=True))  # noqa: PTH207
    if len(found) != 1:
        raise BadData(
            f"task {task.name}: {place} holds {len(found)} files {pattern!r}, expected one; "
            "correct the mirror or the task's `files`"
        )
    return place / found[0]


def _dataset(task: Harness, path: Path) -> datasets.Dataset:
    """The rows of a JSON, JSONL, TSV, CSV or Parquet file, all strings NFC."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return datasets.Dataset.from_parquet(str(path))
        form = suffix[1:] if suffix in _SUFFIXES else "jsonl"
        rows = [nfc(row) for _, row in file_rows(task.name, path, form)]
        # A table holds a row without the cells that are missing.
        return datasets.Dataset.from_list(
            [{key: value for key, value in row.items() if value is not None} for row in rows]
        )
    except BadData:
        raise
    except (OSError, ValueError, TypeError, csv.Error, datasets.exceptions.DatasetsError) as error:
        raise BadData(f"task {task.name}: {path} cannot be read: {error}") from error
