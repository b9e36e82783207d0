"""Loads lm-eval tasks: by name, with data from local files, with examples fixed or drawn anew."""

import csv
import glob
import io
import json
import logging
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from lm_eval.api.samplers import get_sampler
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from kollama2.errors import BadData, BadUsage, Missing
from kollama2.evaluation.suite import TASKS, Harness

# lm-eval's own default for drawing examples.
_FEWSHOT_SEED = 1234


class LoadedTask(NamedTuple):
    """One task of lm-eval: `part` names it within a group, `prompt` counts paraphrases from 0."""

    name: str
    part: str
    prompt: int
    task: Any


def load_tasks(task: Harness) -> list[LoadedTask]:
    """The lm-eval tasks that a suite's task names, ready to be measured.

    Args:
        task: `data` and `include` are local paths, or empty.

    Raises:
        BadUsage: no such task, or it cannot be used as the suite asks.
        BadData: a data file cannot be read.
        Missing: lm-eval would fetch data from a hub that cannot be reached.
    """
    places = [TASKS, *([Path(task.include)] if task.include else [])]
    manager = _manager(places, task.tasks)
    found: list[LoadedTask] = []
    for prompt, name in enumerate(task.tasks):
        loaded = _load(task, manager, name)
        alone = list(loaded) == [name]
        for number, (leaf, one) in enumerate(loaded.items()):
            part = "" if alone else (leaf if prompt == 0 else _parts(found)[number])
            found.append(LoadedTask(leaf, part, prompt, _prepared(task, one)))
    return found


def _parts(found: Sequence[LoadedTask]) -> list[str]:
    return [one.part for one in found if one.prompt == 0]


def _manager(places: Sequence[Path], names: Sequence[str]) -> TaskManager:
    """An index of the given folders; lm-eval's own thousands of tasks only where one is named."""
    folders = [str(place if place.is_dir() else place.parent) for place in places]
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=folders, include_defaults=False)
    if set(names) <= set(manager.all_tasks):
        return manager
    manager = TaskManager(include_path=folders)
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], manager.all_tasks, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "see `lm-eval ls tasks`"
        raise BadUsage(f"lm-eval has no task {unknown[0]!r}; {hint}")
    return manager


def _load(task: Harness, manager: TaskManager, name: str) -> dict[str, Any]:
    overrides = _data_overrides(task)
    # Within a group of our own, lm-eval lays overrides over what a task's file says.
    members = [{**one, **overrides} for one in _members(manager, name)]
    spec = {"group": f"kollama2-{name}", "task": members}
    try:
        tasks: dict[str, Any] = manager.load([spec])["tasks"]
    except (BadData, BadUsage):
        raise
    except (OSError, ConnectionError, ValueError, KeyError, TypeError) as error:
        raise _trouble(task, name, manager, error) from error
    return tasks


def _members(manager: TaskManager, child: str | dict[str, Any]) -> list[dict[str, Any]]:
    """The single tasks behind a name, which may be a group's or a tag's, as lm-eval writes them."""
    if isinstance(child, dict):
        name = child.get("group", child.get("task"))
        if isinstance(child.get("task"), list):  # a group that is written within another
            return [one for part in child["task"] for one in _members(manager, part)]
        settings = {key: value for key, value in child.items() if key not in ("group", "task")}
        return [{**one, **settings} for one in _members(manager, str(name))]
    entry = manager.task_index[child]
    if child in manager.all_tags:
        return [one for part in sorted(entry.tags) for one in _members(manager, part)]
    if child in manager.all_groups and entry.yaml_path is not None:
        parts = load_yaml(entry.yaml_path, resolve_func=False)["task"]
        return [one for part in parts for one in _members(manager, part)]
    return [{"task": child}]


def _trouble(task: Harness, name: str, manager: TaskManager, error: Exception) -> Exception:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    offline = isinstance(error, OSError) or "offline" in first.lower() or "hub" in first.lower()
    if not task.data and offline:
        entry = manager.task_index.get(name)
        path = entry.yaml_path if entry is not None else None
        about = load_yaml(path, resolve_func=False) if path else {}
        uri = f"hf:{about.get('dataset_path', 'owner/name')}"
        return Missing(
            f"task {task.name}: lm-eval's {name} reads {uri} and the hub cannot be reached "
            f"({first}); give the suite's task `data: {uri}` and name a local copy in a mirrors "
            f"file (--mirrors FILE with a line '{uri}: path/to/copy')"
        )
    return BadData(f"task {task.name}: lm-eval's {name} cannot be loaded: {first}")


def _data_overrides(task: Harness) -> dict[str, Any]:
    """What replaces the data set that a task's file names."""
    if not task.data and not task.files:
        return {}
    place = Path(task.data)
    if not task.files:
        if place.is_dir():
            return {"dataset_path": str(place), "dataset_kwargs": {}}
        return {"custom_dataset": lambda **_: {"test": _dataset(task, place)}, "test_split": "test"}
    files = {split: _file(task, place, pattern) for split, pattern in task.files.items()}
    read: Callable[..., Any] = lambda **_: {  # noqa: E731
        split: _dataset(task, file) for split, file in files.items()
    }
    return {"custom_dataset": read}


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
    rows: list[Mapping[str, Any]]
    try:
        if suffix == ".parquet":
            return datasets.Dataset.from_parquet(str(path))
        text = path.read_text(encoding="utf-8-sig")
        text = unicodedata.normalize("NFC", text)
        if suffix == ".tsv":
            rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
        elif suffix == ".csv":
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        elif suffix == ".json":
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        return datasets.Dataset.from_list([_whole(row) for row in rows])
    except (OSError, ValueError, TypeError, csv.Error, datasets.exceptions.DatasetsError) as error:
        raise BadData(f"task {task.name}: {path} cannot be read: {error}") from error


def _whole(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as a table can hold it: without cells that are missing.

    Raises:
        ValueError: a line has more cells than the header.
    """
    if None in row:
        raise ValueError(f"a line has more cells than the header: {row[None]!r}")
    return {name: value for name, value in row.items() if value is not None}


def _prepared(task: Harness, one: Any) -> Any:
    """Few-shot examples as `simple_evaluate` sets them, or the same first ones for all items."""
    if task.num_fewshot is not None:
        one.set_config(key="num_fewshot", value=task.num_fewshot)
    elif one.get_config("num_fewshot") is None:
        one.set_config(key="num_fewshot", value=0)
    if task.fewshot == "fixed" and one.config.num_fewshot:
        one.sampler = get_sampler("first_n")(list(one.fewshot_docs()), rnd=None)
    one.set_fewshot_seed(seed=_FEWSHOT_SEED)
    return one
