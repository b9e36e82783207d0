"""A study from Python: run it, and read its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from json import loads
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from kollama2.api.checked import AtLeast1, checked
from kollama2.api.compute import (
    Progress,
    launch,
    machine,
    must_succeed,
    once,
    silent,
)
from kollama2.api.places import mirrors_at, store_at
from kollama2.api.plan import planned
from kollama2.api.shown import WIDTH, Shown
from kollama2.engine.commit import keep_json
from kollama2.engine.profile import Profile
from kollama2.engine.store import Store
from kollama2.errors import Denied, StorageTrouble
from kollama2.reporting import html
from kollama2.reporting.board import BoardRow, Leaderboard
from kollama2.reporting.table import leaderboard
from kollama2.reporting.terminal import render_terminal
from kollama2.study.lock import name_of


@dataclass(frozen=True)
class Result(Shown):
    """What a study has found so far: its leaderboard, as the report judges it.

    Attributes:
        study: its name.
        json: the leaderboard as `leaderboard.json` holds it.
        report: the page; None where it could not be written.
        trouble: why it could not.
        failed: stages that failed in this run, each with the sentence that says why.
        exit_code: 0, or that of the first failure.
    """

    study: str
    json: str = field(repr=False)
    report: Path | None
    trouble: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0

    @cached_property
    def board(self) -> Leaderboard:
        """The leaderboard: the best recipe first, the base among them."""
        return Leaderboard.from_json(self.json)

    def plain(self) -> dict[str, Any]:
        """The leaderboard as plain values."""
        found: dict[str, Any] = loads(self.json)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One row a recipe: its place, its differences from the base, its cost and its measures."""
        return [_row(row, self.board) for row in self.board.rows]

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """The leaderboard with its headline; more columns where there is room."""
        return [render_terminal(self.board, width)]


def _row(row: BoardRow, board: Leaderboard) -> dict[str, Any]:
    place = row.standing
    versus = place.versus_base if place else None
    change = row.english.change if row.english else None
    return {
        "recipe": row.recipe,
        "base": row.base,
        "seeds": len(row.seeds),
        "missing": len(row.missing),
        "tier": place.tier if place else None,
        "score": row.score,
        "gain": versus.gain.value if versus else None,
        "gain_low": versus.gain.low if versus else None,
        "gain_high": versus.gain.high if versus else None,
        "p_adjusted": versus.p_adjusted if versus else None,
        "mde": versus.mde if versus else None,
        "separable": versus.separable if versus else None,
        "p_best": place.p_best if place else None,
        "english": row.english.score if row.english else None,
        "english_change": change.value if change else None,
        "frontier": row.frontier,
        "flops": row.cost.flops,
        "korean_bytes": row.cost.korean_bytes,
        "trainable_parameters": row.cost.trainable_parameters,
        **{
            name: row.measures[name].score if name in row.measures else None
            for name in board.measures
        },
    }


@checked
def run(
    study: str | Path | None = None,
    *,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
    jobs: AtLeast1 | None = None,
    progress: Progress | None = None,
    check: bool = True,
) -> Result:
    """Compute, resume or extend a study, and write its report.

    Args:
        study: YAML file or name of a study; None: the embedded one.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: one stage a core.
        jobs: stages at once, in the place of the profile's.
        progress: called with each event, in this thread; None: nothing is told.
        check: raise if a stage failed; otherwise the result tells what failed.

    Returns:
        What the study has found. Once all is computed, the same call answers at once.

    Raises:
        Fault: the study, or something that it names, is impossible; or a stage failed, with the
            sentence of the first one. What was computed stays, and the same call continues.
    """
    place, tell = store_at(store), once(progress or silent)
    locked, todo = planned(study, place, mirrors_at(mirrors))
    size = machine(profile, jobs)
    keep_json(place / "studies" / f"{locked.study.name}.json", locked.record().plain())
    names = {name: label.said() for name, label in locked.stage_names().items()}
    outcome = launch(todo, Store(place), size, lambda name: names.get(name, name), tell)
    result = _result(locked.study.name, place, outcome.failed, outcome.exit_code)
    if check:  # the page tells what there is all the same
        must_succeed(outcome)
    return result


@checked
def report(study: str | Path | None = None, *, store: str | Path | None = None) -> Result:
    """Report on what is computed so far, and write `report.html`.

    Args:
        study: YAML file or name of a study; one in the store needs nothing else.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.

    Returns:
        What the study has found.

    Raises:
        BadUsage: there is no such study.
        Corrupt, Missing: a record is damaged, or a newer kollama2 wrote it.
    """
    place = store_at(store)
    return _result(name_of(str(study) if study else None, place), place)


def _result(
    name: str, store: Path, failed: Mapping[str, str] | None = None, exit_code: int = 0
) -> Result:
    """Write the report, unless it tells all of this already; a read-only store still answers."""
    page, trouble = None, None
    try:
        page = html.write_report(store, name, store / "studies" / name)
        # From the file, so that it is the same whether or not it was computed now.
        text = (page.parent / "leaderboard.json").read_text(encoding="utf-8")
    except (Denied, StorageTrouble) as fault:
        text, trouble = leaderboard(store, name).to_json(), str(fault)
    return Result(name, text, page, trouble, failed or {}, exit_code)
