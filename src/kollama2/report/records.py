"""The records of a study: what its lock names and what the store's finished folders say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kollama2.engine.record import read_object, unreadable
from kollama2.errors import BadUsage, Corrupt, Fault, visible

Json = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One prompt and what a model answered; every text comes from outside and may hold anything."""

    task: str
    item: str
    prompt: str
    answer: str
    reference: str | None = None


@dataclass(frozen=True)
class Stage:
    """One finished stage: its name (`kind-key`), its settings and the record of how it went."""

    name: str
    settings: Json
    record: Json

    @property
    def kind(self) -> str:
        """The kind of stage, which is its name without the key."""
        return self.name.rpartition("-")[0]

    @property
    def metrics(self) -> Json:
        """What the stage measured about its own work."""
        metrics = self.record.get("metrics", {})
        return metrics if isinstance(metrics, dict) else {}


@dataclass(frozen=True)
class Cell:
    """One recipe under one suite and one seed, with the stages that lead to it in order.

    `trouble` names the stage that failed and the last line of its traceback; `contamination` the
    stage that looked the suite up in the training data, None where there are none.
    """

    recipe: str
    options: Mapping[str, str]
    seed: int
    suite: str
    base: bool
    evaluate: str
    model: str
    path: tuple[str, ...]
    state: Literal["done", "failed", "waiting"]
    trouble: str = ""
    contamination: str | None = None

    @property
    def done(self) -> bool:
        """Whether the cell was measured."""
        return self.state == "done"


@dataclass(frozen=True)
class Study:
    """A study's lock, its cells and every finished stage that a cell names."""

    name: str
    store: Path
    lock: Json
    cells: tuple[Cell, ...]
    stages: Mapping[str, Stage] = field(repr=False)

    @property
    def recipes(self) -> tuple[str, ...]:
        """The names of the recipes, the untouched base first, the others as the lock lists them."""
        base = [cell.recipe for cell in self.cells if cell.base]
        return tuple(dict.fromkeys(base + [cell.recipe for cell in self.cells]))

    def of(self, recipe: str) -> tuple[Cell, ...]:
        """The cells of one recipe."""
        return tuple(cell for cell in self.cells if cell.recipe == recipe)


def load(store: Path, study: str) -> Study:
    """Reads the lock of a study and the records of all stages that it names.

    Args:
        store: the folder of a store.
        study: the name of a study that was planned or run in it.

    Raises:
        BadUsage: the store knows no such study.
        Corrupt: a lock or a record is not what it should be.
        Missing: a newer kollama2 wrote it, and it cannot be read by this one.
    """
    locks = store / "studies"
    if "/" in study or not (locks / f"{study}.json").is_file():
        known = ", ".join(sorted(path.stem for path in locks.glob("*.json"))) or "none"
        raise BadUsage(
            f"The store {store} has no study {study!r} (it knows: {known}); "
            "start it with: kollama2 run"
        )
    file = locks / f"{study}.json"
    lock = read_object(file)
    try:
        raw = [dict(cell) for cell in lock["cells"]]
        names = {
            name
            for cell in raw
            for name in (*cell["path"], cell["model"], cell["evaluate"], cell.get("contamination"))
            if name is not None
        }
        stages = {name: stage for name in sorted(names) if (stage := _stage(store, name))}
        cells = tuple(_cell(store, cell, stages) for cell in raw)
    except Fault:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(file, f"is not a study's lock ({error!r})") from error
    if len({cell.recipe for cell in cells if cell.base}) != 1:
        raise Corrupt(f"The lock {locks / study}.json must mark exactly one recipe as the base")
    return Study(name=study, store=store, lock=lock, cells=cells, stages=stages)


# Fields of samples that are checked, so that nobody need judge them: choices, exact answers, rules.
_CHECKED = frozenset({"choices", "extracted", "broken"})


def samples(study: Study, cell: Cell) -> list[Sample]:
    """The free answers of a finished cell, in the order of its suite; none that are checked."""
    path = study.store / cell.evaluate / "samples.jsonl"
    if not path.is_file():
        return []
    return [
        Sample(
            task=str(line.get("task", "")),
            item=str(line.get("item", "")),
            prompt=str(line.get("prompt", "")),
            answer=str(line.get("answer", "")),
            reference=None if line.get("reference") is None else str(line["reference"]),
        )
        for line in read_lines(path)
        if not _CHECKED & line.keys()
    ]


def curve(study: Study, stage: str) -> list[Json]:
    """The training curve of a model stage: one record per logged step, empty if it has none."""
    path = study.store / stage / "metrics.jsonl"
    return list(read_lines(path)) if path.is_file() else []


def read_lines(path: Path) -> Iterator[Json]:
    """Yields the JSON objects of a file that has one a line.

    Raises:
        Corrupt: a line is no JSON object, or the file is not there.
    """
    if not path.is_file():
        raise unreadable(path, "is missing from a finished stage")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise unreadable(path, f"is not JSON in line {number} ({error})") from error
            if not isinstance(value, dict):
                raise unreadable(path, f"has no JSON object in line {number}")
            yield value


def _stage(store: Path, name: str) -> Stage | None:
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not a stage's name")
    folder = store / name
    if not (folder / "done.json").is_file():
        return None
    settings = read_object(folder / "stage.json") if (folder / "stage.json").is_file() else {}
    return Stage(name=name, settings=settings, record=read_object(folder / "done.json"))


def _cell(store: Path, raw: Json, stages: Mapping[str, Stage]) -> Cell:
    state: Literal["done", "failed", "waiting"] = "waiting"
    trouble = ""
    if raw["evaluate"] in stages:
        state = "done"
    else:
        # The engine leaves the traceback of a failed stage in its unfinished folder.
        for name in (*raw["path"], raw["evaluate"]):
            log = store / f"{name}.partial" / "error.log"
            if log.is_file():
                state = "failed"
                lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
                last = next((line for line in reversed(lines) if line.strip()), "")
                trouble = f"{name}: {visible(last.strip())[:300]}"
    return Cell(
        recipe=str(raw["recipe"]),
        options={str(axis): str(option) for axis, option in raw.get("options", {}).items()},
        seed=int(raw["seed"]),
        suite=str(raw["suite"]),
        base=bool(raw.get("base", False)),
        evaluate=str(raw["evaluate"]),
        model=str(raw["model"]),
        path=tuple(str(name) for name in raw["path"]),
        state=state,
        trouble=trouble,
        contamination=raw.get("contamination"),
    )
