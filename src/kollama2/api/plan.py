"""What `plan`, `status`, `why` and `gc` say about a study and its store."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kollama2.api.checked import checked
from kollama2.api.compute import machine
from kollama2.api.mixtures import drawings, warnings
from kollama2.api.places import mirrors_at, store_at
from kollama2.api.shown import WIDTH, Shown
from kollama2.engine import graph
from kollama2.engine.arithmetic import cpu_flops
from kollama2.engine.commit import verified
from kollama2.engine.profile import Profile
from kollama2.engine.provenance import gpu_names
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage, Missing
from kollama2.locale import Message, mark, say
from kollama2.records.lock import Lock
from kollama2.records.read import DONE, Json, read
from kollama2.stages import Order
from kollama2.study.estimate import CostEstimate, estimate
from kollama2.study.lock import Locked, find, lock


@dataclass(frozen=True)
class Planned:
    """One stage of a plan.

    Attributes:
        stage: the name of its folder in the store.
        says: what a person calls it.
        recipes: that use it.
        cached: whether it is computed already.
    """

    stage: str
    says: str
    recipes: tuple[str, ...]
    cached: bool


@dataclass(frozen=True)
class Plan(Shown):
    """What computing a study means.

    Attributes:
        study: its name.
        cells: how many there are: recipes by seeds by suites.
        stages: each once, inputs before what needs them.
        to_compute: how many stages are to compute; what only finished ones need is not.
        saved: stages that would be computed again if no two cells shared anything.
        cost: of what is still to compute.
        warnings: what may not have been meant, one sentence each.
        curricula: the orders of rows, for the drawings of their mixtures.
        names: what a person calls each stage, in the chosen language.
    """

    study: str
    cells: int
    stages: tuple[Planned, ...] = field(repr=False)
    to_compute: int
    saved: int
    cost: CostEstimate
    warnings: tuple[str, ...] = ()
    curricula: tuple[Stage, ...] = field(default=(), repr=False)
    names: Mapping[str, Message] = field(default_factory=dict, repr=False)

    def plain(self) -> dict[str, Any]:
        """The plan as plain values, as `--json` prints it."""
        return {
            "study": self.study,
            "cells": self.cells,
            "stages": self.rows(),
            "to_compute": self.to_compute,
            "saved_by_sharing": self.saved,
            "estimate": asdict(self.cost),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a stage."""
        return [asdict(stage) for stage in self.stages]

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """The stages, the mixtures of curricula, and two sentences: how many, at what cost."""
        shown = Table(say("stage"), say("what"), say("recipes"), say("state"))
        for stage in self.stages:
            who = stage.recipes
            shown.add_row(
                stage.stage,
                self.names[stage.stage].said(),
                ", ".join(who) if len(who) <= 3 else say("{count:recipe}", count=len(who)),
                Text(say("cached"), "green") if stage.cached else say("to compute"),
            )
        total, todo = len(self.stages), self.to_compute
        counts = say(
            "{total:stage} for {cells:cell}: {todo} to compute, {cached} cached; sharing saves "
            "{saved:stage}",
            total=total, cells=self.cells, todo=todo, cached=total - todo, saved=self.saved,
        )  # fmt: skip
        return [shown, *drawings(self.curricula), counts, cost_line(self.cost)]


@checked
def plan(
    study: str | Path | None = None,
    *,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
) -> Plan:
    """Tell what a study would compute and cost, what is there already, and what sharing saves.

    Args:
        study: YAML file or name of a study; None: the embedded one.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: one stage a core.

    Returns:
        The plan. Nothing is computed or changed.

    Raises:
        Fault: the study, the profile or something that they name is impossible or cannot be read.
    """
    place = store_at(store)
    locked, todo = planned(study, place, mirrors_at(mirrors))
    kept = Store(place)
    names = locked.stage_names()
    users: dict[str, set[str]] = {}
    for cell in locked.cells:
        for stage in cell.closure().values():
            users.setdefault(stage.name, set()).add(cell.recipe)
    return Plan(
        study=locked.study.name,
        cells=len(locked.cells),
        stages=tuple(
            Planned(
                one.name,
                str(names[one.name]),
                tuple(sorted(users[one.name])),
                one.name in todo.cached,
            )
            for one in todo.stages
        ),
        to_compute=len(todo.todo),
        saved=todo.saved,
        cost=cost_of(todo, kept, machine(profile)),
        warnings=tuple(warnings(todo.stages, kept)),
        curricula=tuple(one for one in todo.stages if isinstance(one, Order)),
        names=names,
    )


def planned(
    study: str | Path | None, store: Path, mirrors: Path | None
) -> tuple[Locked, graph.Plan]:
    """A study with its sources pinned, and what computing it means."""
    locked = lock(find(str(study) if study else None, store), store, mirrors)
    return locked, graph.plan(locked.targets, Store(store))


TRAINS = 0.5
"""Share of what a CPU multiplies at its best that a training reaches (see the journal)."""


def cost_of(todo: graph.Plan, store: Store, profile: Profile) -> CostEstimate:
    """The estimate of a plan; on a CPU with hours, also where the store has seen no training."""

    def speed() -> float | None:
        flops = cpu_flops(profile.default.threads)
        return None if flops is None else TRAINS * flops

    on_gpu = profile.default.device != "cpu" and gpu_names()
    return estimate(todo, store, profile, None if on_gpu else speed)


def cost_line(cost: CostEstimate) -> str:
    """The estimate as one sentence."""
    if not cost.trainings:
        return say("nothing is left to train")
    if cost.flops is None:
        return say(
            "{trainings:training}; the cost is known once these are at hand: {unknown}",
            trainings=cost.trainings, unknown=", ".join(cost.unknown),
        )  # fmt: skip
    assert cost.tokens is not None
    assert cost.memory_bytes is not None
    assert cost.disk_bytes is not None
    told = say(
        "{trainings:training} of {tokens} tokens and {flops:.1e} FLOPs in all; memory up to "
        "{memory}, disk {disk}",
        trainings=cost.trainings, tokens=cost.tokens, flops=cost.flops,
        memory=_size(cost.memory_bytes), disk=_size(cost.disk_bytes),
    )  # fmt: skip
    if cost.seconds is None:
        return told
    time = _duration(cost.seconds)
    return say("{cost}; about {time} on this machine", cost=told, time=time)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return say("{time:.0f} seconds", time=seconds)
    if seconds < 5400:
        return say("{time:.0f} minutes", time=seconds / 60)
    return say("{time:.1f} hours", time=seconds / 3600)


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def states(
    locked: Locked, todo: graph.Plan, store: Store
) -> Iterator[tuple[str, int, str, Message]]:
    """Recipe, seed and suite of each cell, and its state: done, computing, waiting or failed."""
    for cell in locked.cells:
        missing = [s for s in cell.closure().values() if s.name not in todo.cached]
        yield cell.recipe, cell.seed, cell.suite, _state(missing, store)


def _state(missing: list[Any], store: Store) -> Message:
    if not missing:
        return Message(mark("done"))
    for stage in missing:
        log, name = store.partial(stage) / "error.log", {"stage": stage.name}
        if log.exists():
            return Message(mark("failed at {stage}, see {log}"), {**name, "log": log})
        figures = store.progress(stage)
        if figures and figures.get("total"):
            share = figures["done"] / figures["total"]
            return Message("{stage}: {percent:.0f} %", {**name, "percent": 100 * share})
        if figures and store.holder(stage):
            return Message(
                "{stage}: {unit}", {**name, "unit": Message(figures.get("unit", mark("starting")))}
            )
    return Message(mark("waiting: {count:stage} to compute"), {"count": len(missing)})


def recipe_of(store: Path, name: str) -> dict[str, Any]:
    """The `stage.json` of the one folder whose name or key begins with `name`.

    Raises:
        BadUsage: no folder or more than one begins so.
        Corrupt: the file is damaged, or of a finished stage and not what was written.
    """
    found = [
        file.parent
        for file in sorted(store.glob("*/stage.json"))
        if file.parent.name.startswith(name) or file.parent.name.partition("-")[2].startswith(name)
    ]
    if len(found) != 1:
        names = ", ".join(folder.name for folder in found[:5])
        problem = f"{len(found)} stages begin so: {names}" if found else "no stage begins so"
        raise BadUsage(f"{name!r} in the store {store}: {problem}; give more of the key")
    file = found[0] / "stage.json"
    return read(verified(file) if file.with_name(DONE).is_file() else file, Json)


def kept_names(store: Path, studies: list[str]) -> set[str]:
    """The names of all stages that the given studies, or all locked ones, stand on.

    Raises:
        BadUsage: the store has no study of that name.
        Missing: a study has a report and no lock.
        Corrupt, Missing: a lock is damaged or of a newer kollama2, so nobody knows what it keeps.
    """
    locks = {file.stem: file for file in sorted((store / "studies").glob("*.json"))}
    for name in studies:
        if name not in locks:
            raise BadUsage(f"the store {store} has no study {name!r}; it has {', '.join(locks)}")
    folders = [one.name for one in (store / "studies").glob("*") if one.is_dir()]
    lost = [name for name in sorted(folders) if name not in locks]
    if lost and not studies:
        raise Missing(
            f"the study {lost[0]!r} of the store {store} has lost its lock, so nobody knows what "
            "it stands on: plan it again, or name the studies whose stages stay"
        )
    keep: set[str] = set()
    for name in studies or locks:
        for cell in read(locks[name], Lock).cells:
            keep |= {*cell.stages, *cell.data}
    return keep
