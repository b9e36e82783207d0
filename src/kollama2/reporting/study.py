"""A study as its records tell it: its lock, its cells and the finished stages that they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from kollama2.engine.commit import MANIFEST, manifest, verified
from kollama2.errors import BadUsage, visible
from kollama2.evaluation.contrast import Measured
from kollama2.records import lock
from kollama2.records.done import Done, Evaluation
from kollama2.records.items import ITEMS, load_items
from kollama2.records.lock import Lock
from kollama2.records.read import DONE, Json, damaged, part, read, read_lines

TRAINING = ("pretrain", "finetune", "prefer")


@dataclass(frozen=True)
class Sample:
    """One prompt and what a model answered; every text comes from outside and may hold anything."""

    task: str
    item: str
    prompt: str
    answer: str
    reference: str | None = None


@dataclass(frozen=True)
class FinishedStage:
    """One finished stage: its folder (`kind-key`), its settings and the record of how it went.

    What is read from the folder is compared with what was written.
    """

    folder: Path
    settings: Json
    record: Done

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """The kind of stage, which is its name without the key."""
        return kind_of(self.name)

    @property
    def metrics(self) -> Json:
        """What the stage measured about its own work."""
        return self.record.metrics

    @cached_property
    def evaluation(self) -> Evaluation:
        """The metrics of an evaluation.

        Raises:
            Corrupt, Missing: they are not what an evaluation writes.
        """
        return part(self.folder / DONE, self.metrics, Evaluation)

    @cached_property
    def measured(self) -> Measured:
        """What an evaluation measured.

        Raises:
            Corrupt, Missing: its items cannot be read.
        """
        return Measured(self.evaluation, load_items(verified(self.folder / ITEMS)))

    def file(self, name: str) -> Path | None:
        """One of its files; None if it wrote none of that name.

        Raises:
            Corrupt: the file is damaged.
        """
        path = self.folder / name
        return verified(path) if path.is_file() or name in manifest(self.folder) else None

    def lines(self, name: str) -> list[Json]:
        """The JSON objects of one of its files, one a line; empty if it wrote none of that name.

        Raises:
            Corrupt: the file is damaged.
        """
        path = self.file(name)
        return [] if path is None else list(read_lines(path))


class CellState(lock.Cell):
    """A cell of the lock, and how far it is.

    `trouble` names the stage that failed and the last line of its traceback.
    """

    state: Literal["done", "failed", "waiting"]
    trouble: str = ""

    @property
    def done(self) -> bool:
        """Whether the cell was measured."""
        return self.state == "done"


@dataclass(frozen=True)
class Study:
    """A study's lock, its cells and every finished stage that a cell names."""

    name: str
    store: Path
    lock: Lock
    cells: tuple[CellState, ...]
    stages: Mapping[str, FinishedStage] = field(repr=False)

    @property
    def recipes(self) -> tuple[str, ...]:
        """The names of the recipes, the untouched base first, the others as the lock lists them."""
        base = [cell.recipe for cell in self.cells if cell.base]
        return tuple(dict.fromkeys(base + [cell.recipe for cell in self.cells]))

    @property
    def trained(self) -> list[str]:
        """The recipes that train: another seed would have made other models of them."""
        return [
            recipe
            for recipe in self.recipes
            if any(kind_of(name) in TRAINING for cell in self.of(recipe) for name in cell.path)
        ]

    def of(self, recipe: str) -> tuple[CellState, ...]:
        """The cells of one recipe."""
        return tuple(cell for cell in self.cells if cell.recipe == recipe)

    def finished(self, recipe: str) -> list[CellState]:
        """The measured cells of a recipe, each evaluation once.

        A recipe that no seed changes (the base) has one evaluation under all seeds.
        """
        return list({cell.evaluate: cell for cell in self.of(recipe) if cell.done}.values())

    def first(self, recipe: str) -> list[CellState]:
        """The measured cells of a recipe under the first seed that it was measured with."""
        done = [cell for cell in self.of(recipe) if cell.done]
        return [cell for cell in done if cell.seed == min(one.seed for one in done)]

    @property
    def hashes(self) -> dict[str, list[str]]:
        """The hashes of each suite, as the records of its cells have them; several are wrong."""
        found: dict[str, set[str]] = {name: set() for name in self.lock.suites}
        for cell in self.cells:
            if cell.done:
                found[cell.suite].add(self.stages[cell.evaluate].evaluation.suite)
        return {name: sorted(hashes) for name, hashes in found.items()}

    def evaluations(self, recipe: str) -> list[Evaluation]:
        """What the evaluations of a recipe measured, each once."""
        return [self.stages[cell.evaluate].evaluation for cell in self.finished(recipe)]


def kind_of(stage: str) -> str:
    """The kind in the name of a stage."""
    return stage.rpartition("-")[0]


def read_stage(folder: Path) -> FinishedStage | None:
    """A stage from its folder; None if it is not finished.

    Raises:
        Corrupt, Missing: its record or its settings are damaged, or of a newer kollama2.
    """
    done = folder / DONE
    if not (done.exists() or (folder / MANIFEST).exists()):
        return None
    record = read(verified(done), Done)
    if record.name != folder.name:
        raise damaged(done, f"holds the result of {record.name}")
    return FinishedStage(folder, read(verified(folder / "stage.json"), Json), record)


def load(store: Path, study: str) -> Study:
    """Read the lock of a study and the records of all stages that it names.

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
    locked = read(locks / f"{study}.json", Lock)
    names = sorted({name for cell in locked.cells for name in cell.stages})
    stages = {name: stage for name in names if (stage := read_stage(store / name))}
    cells = tuple(_cell(store, cell, stages) for cell in locked.cells)
    return Study(name=study, store=store, lock=locked, cells=cells, stages=stages)


# Fields of samples that are checked, so that nobody need judge them: choices, exact answers, rules.
_CHECKED = frozenset({"choices", "extracted", "broken"})


def samples(study: Study, cell: CellState) -> list[Sample]:
    """The free answers of a finished cell, in the order of its suite; none that are checked."""
    return [
        Sample(
            task=str(line.get("task", "")),
            item=str(line.get("item", "")),
            prompt=str(line.get("prompt", "")),
            answer=str(line.get("answer", "")),
            reference=None if line.get("reference") is None else str(line["reference"]),
        )
        for line in study.stages[cell.evaluate].lines("samples.jsonl")
        if not _CHECKED & line.keys()
    ]


def trouble(store: Path, name: str) -> str | None:
    """The last line of the traceback that a failed stage left in its unfinished folder, if any."""
    log = store / f"{name}.partial" / "error.log"
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    last = next((line for line in reversed(lines) if line.strip()), "")
    return visible(last.strip())[:300]


def _cell(store: Path, locked: lock.Cell, stages: Mapping[str, FinishedStage]) -> CellState:
    if locked.evaluate in stages:
        return CellState(**locked.plain(), state="done")
    for name in (locked.evaluate, *reversed(locked.path)):
        if (why := trouble(store, name)) is not None:
            return CellState(**locked.plain(), state="failed", trouble=f"{name}: {why}")
    return CellState(**locked.plain(), state="waiting")
