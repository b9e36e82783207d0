"""What the records of a store say of its studies now; nothing is written and no lease is taken."""

import json
import math
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kollama2.engine import lease
from kollama2.errors import Fault
from kollama2.records.lock import Lock
from kollama2.records.read import Json, read
from kollama2.reporting.board import BoardRow, Estimate
from kollama2.reporting.contrast import contrasts
from kollama2.reporting.losses import owners, thinned
from kollama2.reporting.preferences import files
from kollama2.reporting.study import TRAINING, Study, kind_of, load, trouble
from kollama2.reporting.table import rank

METRICS = "metrics.jsonl"
FIGURES = ("done", "total", "unit", "seconds")  # of the progress of a stage


@dataclass
class _Curve:
    """The lines of a training that goes on, of which only the new ones are read each time."""

    end: int = 0
    lines: list[Json] = field(default_factory=list)

    def read(self, path: Path) -> list[Json]:
        """All whole lines; what a resumed training computes anew takes the place of the old."""
        try:
            with path.open("rb") as file:
                if file.seek(0, 2) < self.end:
                    self.end, self.lines = 0, []
                file.seek(self.end)
                added = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return self.lines
        whole = added[: added.rfind(b"\n") + 1]
        self.end += len(whole)
        for line in whole.splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # the file was cut and has grown past where we were
                self.end, self.lines = 0, []
                return self.lines
            while self.lines and self.lines[-1]["step"] >= found["step"]:
                self.lines.pop()
            self.lines.append(found)
        return self.lines


class Records:
    """The studies of a store, read anew at each question; what is finished is read once.

    Args:
        store: the folder of the store.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self._running: dict[str, _Curve] = {}
        self._finished: dict[str, list[dict[str, Any]]] = {}
        self._boards: dict[str, tuple[object, Json]] = {}
        self._curve_lock, self._board_lock = threading.Lock(), threading.Lock()

    def studies(self) -> list[Json]:
        """Every study: its name, and whether a stage of it is being computed; these come first.

        Raises:
            Corrupt, Missing: a lock cannot be read.
        """
        held = {file.stem for file in self.store.glob("*.lease") if lease.holder(file)}
        found = []
        for file in sorted((self.store / "studies").glob("*.json"), key=_changed, reverse=True):
            stages = {
                name for cell in read(file, Lock).cells for name in (*cell.stages, *cell.data)
            }
            found.append({"name": file.stem, "running": bool(stages & held)})
        return sorted(found, key=lambda one: not one["running"])

    def study(self, name: str) -> Json:
        """How far a study is: its cells, its stages and the curves of its trainings.

        Raises:
            BadUsage: there is no such study.
            Corrupt, Missing: a record cannot be read.
        """
        found = load(self.store, name)
        stages = self._stages(found)
        with self._curve_lock:
            curves = self._curves(found, {one["name"]: one["state"] for one in stages})
        cells = [
            {"recipe": one.recipe, "seed": one.seed, "suite": one.suite, "state": one.state}
            for one in found.cells
        ]
        return {
            "name": name,
            "about": found.lock.about,
            "cells": cells,
            "stages": stages,
            "curves": curves,
            "measured": sum(one.done for one in found.cells),
        }

    def board(self, name: str) -> Json:
        """The leaderboard of what is measured so far; it is computed when that has changed.

        Raises:
            BadUsage, Corrupt, Missing: as `study`.
        """
        with self._board_lock:
            found = load(self.store, name)
            stands_for = (found.lock.sha256, *found.stages, *map(_changed, files(found)))
            if self._boards.get(name, (None,))[0] != stands_for:
                self._boards[name] = stands_for, _board(found)
            return self._boards[name][1]

    def _stages(self, study: Study) -> list[Json]:
        """Every stage, inputs before what needs them: done, running, failed or to do."""
        users: dict[str, dict[str, None]] = {}
        for cell in study.cells:
            for name in cell.stages:
                users.setdefault(name, {})[cell.recipe] = None
        return [
            {
                "name": name,
                "kind": kind_of(name),
                "recipes": list(recipes),
                **self._state(study, name),
            }
            for name, recipes in users.items()
        ]

    def _state(self, study: Study, name: str) -> Json:
        if name in study.stages:
            return {"state": "done", "seconds": study.stages[name].record.seconds}
        if (why := trouble(self.store, name)) is not None:
            return {"state": "failed", "why": why}
        try:
            told = read(self.store / f"{name}.partial" / "progress.json", Json)
        except Fault:  # not there yet, or published between two looks
            told = {}
        figures = {key: told.get(key) for key in FIGURES}
        held = lease.holder(self.store / f"{name}.lease")
        return {"state": "running" if held else "todo", **_finite(figures)}

    def _curves(self, study: Study, states: dict[str, str]) -> list[Json]:
        """The curve of each training that has begun."""
        found = []
        for name, whose in owners(study).items():
            if kind_of(name) not in TRAINING:
                continue
            if name in study.stages:
                self._running.pop(name, None)
                if name not in self._finished:
                    self._finished[name] = thinned(study.stages[name].lines(METRICS))
                points = self._finished[name]
            else:
                curve = self._running.setdefault(name, _Curve())
                points = thinned(curve.read(self.store / f"{name}.partial" / METRICS))
            if points:
                curve_of = {"stage": name, "kind": kind_of(name), "state": states[name]}
                found.append({**curve_of, **asdict(whose), "points": points})
        return found


def _board(study: Study) -> Json:
    found = rank(study, contrasts(study))
    return {
        "primary": found.primary,
        "in_bits": found.primary_in_bits,
        "headline": found.headline,
        "rows": [_row(row) for row in found.rows],
    }


def _row(row: BoardRow) -> Json:
    place, change = row.standing, row.english.change if row.english else None
    versus = place.versus_base if place else None
    return {
        "recipe": row.recipe,
        "base": row.base,
        "tier": place.tier if place else None,
        "score": _number(row.score),
        "gain": _estimate(versus.gain) if versus else None,
        "separable": bool(versus and versus.separable),
        "p_best": _number(place.p_best) if place else None,
        "english": _estimate(change) if change else None,
        "seeds": len(row.seeds),
        "missing": len(row.missing),
    }


def _estimate(found: Estimate) -> list[float | None]:
    return [_number(one) for one in (found.value, found.low, found.high)]


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _finite(figures: Json) -> Json:
    """Figures of another process, in which JSON can say every number."""
    return {key: _number(one) if isinstance(one, float) else one for key, one in figures.items()}


def _changed(file: Path) -> float:
    """When a file was changed; 0 where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
