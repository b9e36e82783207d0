"""What `plan`, `status`, `why` and `gc` say about a study and its store."""

from pathlib import Path
from typing import Any

from rich.table import Table

from kollama2.engine.arithmetic import cpu_flops
from kollama2.engine.commit import verified
from kollama2.engine.graph import Plan
from kollama2.engine.profile import Profile
from kollama2.engine.provenance import gpu_names
from kollama2.engine.store import Store
from kollama2.errors import BadUsage, Missing
from kollama2.records.lock import Lock
from kollama2.records.read import DONE, Json, read
from kollama2.report.texts import Count
from kollama2.study.estimate import Estimate, estimate
from kollama2.study.lock import Locked


def describe(locked: Locked, todo: Plan, cost: Estimate) -> dict[str, Any]:
    """The plan as data: each stage once, with who uses it and whether it is there."""
    names = locked.stage_names()
    users: dict[str, set[str]] = {}
    for cell in locked.cells:
        for stage in cell.closure().values():
            users.setdefault(stage.name, set()).add(cell.recipe)
    stages = [
        {
            "stage": stage.name,
            "says": names[stage.name],
            "recipes": sorted(users[stage.name]),
            "cached": stage.name in todo.cached,
        }
        for stage in todo.stages
    ]
    return {
        "study": locked.study.name,
        "cells": len(locked.cells),
        "stages": stages,
        "to_compute": len(todo.todo),
        "saved_by_sharing": todo.saved,
        "estimate": cost.record(),
    }


TRAINS = 0.5
"""Share of what a CPU multiplies at its best that a training reaches (see the journal)."""


def cost_of(todo: Plan, store: Store, profile: Profile) -> Estimate:
    """The estimate of a plan; on a CPU with hours, also where the store has seen no training."""

    def speed() -> float | None:
        flops = cpu_flops(profile.default.threads)
        return None if flops is None else TRAINS * flops

    on_gpu = profile.default.device != "cpu" and gpu_names()
    return estimate(todo, store, profile, None if on_gpu else speed)


def cost_line(cost: Estimate) -> str:
    """The estimate as one sentence."""
    if not cost.trainings:
        return "nothing is left to train"
    if cost.flops is None:
        return (
            f"{Count(cost.trainings):training}; the cost is known once these are at hand: "
            f"{', '.join(cost.unknown)}"
        )
    assert cost.tokens is not None
    assert cost.memory_bytes is not None
    assert cost.disk_bytes is not None
    time = "" if cost.seconds is None else f"; about {_duration(cost.seconds)} on this machine"
    return (
        f"{Count(cost.trainings):training} of {cost.tokens:,} tokens and {cost.flops:.1e} FLOPs "
        f"in all; memory up to {_size(cost.memory_bytes)}, disk {_size(cost.disk_bytes)}{time}"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def table(described: dict[str, Any]) -> Table:
    """The plan for a terminal."""
    shown = Table("stage", "what", "recipes", "state")
    for stage in described["stages"]:
        recipes = stage["recipes"]
        who = ", ".join(recipes) if len(recipes) <= 3 else f"{len(recipes)} recipes"
        state = "[green]cached[/]" if stage["cached"] else "to compute"
        shown.add_row(stage["stage"], stage["says"], who, state)
    return shown


def states(locked: Locked, todo: Plan, store: Path) -> list[dict[str, Any]]:
    """How far each cell is: done, computing (with the share), waiting or failed."""
    kept = Store(store)
    rows = []
    for cell in locked.cells:
        missing = [s for s in cell.closure().values() if s.name not in todo.cached]
        row = {"recipe": cell.recipe, "seed": cell.seed, "suite": cell.suite}
        rows.append({**row, "state": _state(missing, kept)})
    return rows


def _state(missing: list[Any], store: Store) -> str:
    if not missing:
        return "done"
    for stage in missing:
        if (store.partial(stage) / "error.log").exists():
            return f"failed at {stage.name}, see {store.partial(stage) / 'error.log'}"
        figures = store.progress(stage)
        if figures and figures.get("total"):
            return f"{stage.name}: {100 * figures['done'] / figures['total']:.0f} %"
        if figures and store.holder(stage):
            return f"{stage.name}: {figures.get('unit', 'starting')}"
    return f"waiting: {Count(len(missing)):stage} to compute"


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
