"""The leaderboard of a study: one row per recipe, its seeds pooled, the base first."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kollama2.report import records
from kollama2.report.contrast import Contrast, Interval, contrast

ENGLISH_LIMIT = 2.0  # per cent by which English bits per byte may grow before a row is flagged


@dataclass(frozen=True)
class Score:
    """One measure of one recipe: the score and its difference to the base."""

    score: float
    difference: Interval


@dataclass(frozen=True)
class English:
    """The constraint axis: what the recipe did to English; positive per cent is worse."""

    score: float
    percent: Interval
    flag: bool


@dataclass(frozen=True)
class Cost:
    """What the recipe cost on any machine: sums over the stages of its path."""

    flops: float | None
    korean_bytes: int | None
    trainable_parameters: int | None


@dataclass(frozen=True)
class Row:
    """One recipe; the fields after `seeds` are None where no cell of it is computed."""

    recipe: str
    base: bool
    options: dict[str, str]
    seeds: list[int]
    missing: list[int]
    primary: Contrast | None
    english: English | None
    measures: dict[str, Score]
    cost: Cost


@dataclass(frozen=True)
class Leaderboard:
    """A study's result; equal records give equal bytes, whatever the machine and the hour."""

    study: str
    kollama2: str
    primary: str
    english: str
    seeds: list[int]
    rows: list[Row]
    measures: dict[str, str]
    suites: dict[str, Any]
    item_uncertainty_only: bool

    def to_json(self) -> str:
        """The leaderboard as JSON: sorted keys, six significant digits, no times, no machines."""
        value = _rounded(dataclasses.asdict(self))
        return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def leaderboard(store_root: Path, study: str) -> Leaderboard:
    """Reads the records of a study and ranks its recipes.

    Args:
        store_root: the folder of the store.
        study: the study's name.

    Raises:
        BadUsage: the store knows no such study.
        Corrupt: a record cannot be read.
    """
    return rank(records.load(Path(store_root), study))


def rank(study: records.Study) -> Leaderboard:
    """Ranks the recipes of a study that was read already."""
    scored = _scored(study)
    base = study.recipes[0]
    lock = study.lock
    contrasts = {
        name: contrast(by_recipe, base, _lower(name))
        for name, by_recipe in scored.items()
        if base in by_recipe
    }
    rows = [_row(study, recipe, contrasts) for recipe in study.recipes]
    sign = 1 if _lower(lock["primary"]) else -1
    rows.sort(
        key=lambda row: (
            not row.base,
            row.primary is None,
            sign * row.primary.score if row.primary else 0.0,
            row.recipe,
        )
    )
    return Leaderboard(
        study=study.name,
        kollama2=lock["kollama2"],
        primary=lock["primary"],
        english=lock["english"],
        seeds=list(lock["seeds"]),
        rows=rows,
        measures={name: "lower" if _lower(name) else "higher" for name in contrasts},
        suites=lock["suites"],
        item_uncertainty_only=len(lock["seeds"]) < 2,
    )


def _scored(study: records.Study) -> dict[str, dict[str, list[dict[str, records.Item]]]]:
    scored: dict[str, dict[str, list[dict[str, records.Item]]]] = {}
    for recipe in study.recipes:
        seen = set()
        for cell in study.of(recipe):
            if not cell.done or cell.evaluate in seen:
                continue
            seen.add(cell.evaluate)
            for measure, found in records.items(study, cell).items():
                scored.setdefault(measure, {}).setdefault(recipe, []).append(found)
    return scored


def _row(study: records.Study, recipe: str, contrasts: dict[str, dict[str, Contrast]]) -> Row:
    cells = study.of(recipe)
    primary = contrasts.get(study.lock["primary"], {}).get(recipe)
    english = contrasts.get(study.lock["english"], {}).get(recipe)
    return Row(
        recipe=recipe,
        base=cells[0].base,
        options=dict(cells[0].options),
        seeds=sorted({cell.seed for cell in cells if cell.done}),
        missing=sorted({cell.seed for cell in cells if not cell.done}),
        primary=primary,
        english=english
        and English(
            score=english.score,
            percent=english.percent,
            flag=english.percent.value > ENGLISH_LIMIT,
        ),
        measures={
            name: Score(found[recipe].score, found[recipe].difference)
            for name, found in contrasts.items()
            if recipe in found
        },
        cost=_cost(study, cells),
    )


def _cost(study: records.Study, cells: tuple[records.Cell, ...]) -> Cost:
    metrics = [study.stages[name].metrics for name in cells[0].path if name in study.stages]

    def total(key: str) -> Any:
        values = [found[key] for found in metrics if key in found]
        return sum(values) if values else None

    return Cost(total("flops"), total("ko_bytes"), total("trainable_parameters"))


def _lower(measure: str) -> bool:
    return measure.rpartition("/")[2] in ("bpb", "brier", "repetition", "invalid_utf8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
