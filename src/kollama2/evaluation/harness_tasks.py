"""Loads lm-eval tasks: by name, with data from local files, with examples fixed or drawn anew."""

import logging
import re
from collections.abc import Sequence
from importlib.metadata import requires
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval.api.samplers import get_sampler
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from kollama2.errors import BadData, BadUsage, Missing, first_line
from kollama2.evaluation.harness_data import data_overrides
from kollama2.evaluation.kinds import Harness
from kollama2.evaluation.suite import TASKS

# lm-eval's own default for drawing examples.
_FEWSHOT_SEED = 1234


class LoadedTask(NamedTuple):
    """One task of lm-eval: `part` names it within a group, `prompt` counts paraphrases from 0.

    `validated` says that its items are those of validation, since the data have no test split.
    """

    name: str
    part: str
    prompt: int
    task: Any
    validated: bool


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
            part = "" if alone else leaf if prompt == 0 else found[number].part
            tested = _about(manager, leaf).get("test_split") is not None
            validated = tested and one.get_config("test_split") is None
            found.append(LoadedTask(leaf, part, prompt, _prepared(task, one), validated))
    return found


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
    # Within a group of our own, lm-eval lays overrides over what a task's file says.
    members = [
        {**one, **data_overrides(task, {**_about(manager, one["task"]), **one})}
        for one in _members(manager, name)
    ]
    spec = {"group": f"kollama2-{name}", "task": members}
    try:
        tasks: dict[str, Any] = manager.load([spec])["tasks"]
    except (BadData, BadUsage):
        raise
    except ModuleNotFoundError as error:
        raise Missing(f"task {task.name}: lm-eval's {name} needs {_wanting(error)}") from error
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


def _about(manager: TaskManager, name: str) -> dict[str, Any]:
    """What the file of a single task says; nothing of one that is written in Python."""
    entry = manager.task_index.get(name)
    path = entry.yaml_path if entry is not None else None
    return dict(load_yaml(path, resolve_func=False)) if path else {}


def _wanting(error: ModuleNotFoundError) -> str:
    """The package that is not here, and how to install it: by lm-eval's extra if one has it."""
    package = str(error.name).partition(".")[0]
    for line in requires("lm_eval") or ():
        if found := re.match(rf"{re.escape(package)}\b.*extra == ['\"]([\w-]+)['\"]", line):
            return f"the package {package}; install it by: pip install 'lm_eval[{found[1]}]'"
    return f"the package {package}; install it by: pip install {package}"


def _trouble(task: Harness, name: str, manager: TaskManager, error: Exception) -> Exception:
    first = first_line(error)
    offline = isinstance(error, OSError) or "offline" in first.lower() or "hub" in first.lower()
    if not task.data and offline:
        uri = f"hf:{_about(manager, name).get('dataset_path', 'owner/name')}"
        return Missing(
            f"task {task.name}: lm-eval's {name} reads {uri} and the hub cannot be reached "
            f"({first}); give the suite's task `data: {uri}` and name a local copy in a mirrors "
            f"file (--mirrors FILE with a line '{uri}: path/to/copy')"
        )
    if isinstance(error, KeyError):
        first = f"it asks for {first}, which the data do not have"
    return BadData(f"task {task.name}: lm-eval's {name} cannot be loaded: {first}")


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
