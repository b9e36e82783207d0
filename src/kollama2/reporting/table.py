"""The leaderboard of a study: one row per recipe, its seeds pooled, the base marked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kollama2.evaluation.contrast import Contrast
from kollama2.reporting import headline
from kollama2.reporting.board import (
    BoardRow,
    Cost,
    English,
    Estimate,
    Leaderboard,
    Place,
    Score,
)
from kollama2.reporting.cautions import warnings
from kollama2.reporting.contrast import contrasts
from kollama2.reporting.preferences import panels
from kollama2.reporting.recommend import Recommendation, recommend, scale
from kollama2.reporting.study import TRAINING, CellState, Study, kind_of, load
from kollama2.reporting.terminal import answered
from kollama2.reporting.trust import trust
from kollama2.reporting.versus import between, scaled, versus

ENGLISH_LIMIT = 2.0  # per cent by which English bits per byte may grow before a row is flagged
COMPUTING = (*TRAINING, "expand_vocab")  # new rows can be distilled


def leaderboard(store_root: Path, study: str) -> Leaderboard:
    """Read the records of a study and rank its recipes.

    Raises:
        BadUsage: the store knows no such study.
        Corrupt: a record cannot be read.
    """
    found = load(store_root, study)
    return rank(found, contrasts(found))


def rank(study: Study, measured: Mapping[str, Contrast]) -> Leaderboard:
    """Rank the recipes of a study that was read and contrasted already."""
    lock = study.lock
    primary = measured.get(lock.primary)
    rows = [_row(study, recipe, primary, measured) for recipe in study.recipes]
    sign = -1 if primary and primary.about.higher else 1
    rows.sort(key=lambda row: (row.score is None, sign * (row.score or 0.0)))
    comparison = primary.comparison if primary else None
    advice = recommend(study, rows, primary, ENGLISH_LIMIT, answered(measured))
    return Leaderboard(
        study=study.name,
        kollama2=lock.kollama2,
        primary=lock.primary,
        primary_in_bits=lock.primary.endswith("/bpb"),
        english=lock.english,
        english_limit=ENGLISH_LIMIT,
        seeds=list(lock.seeds),
        uncertainty=comparison.uncertainty if comparison else "items only",
        ranked=comparison is not None and comparison.ranked,
        items=comparison.items if comparison else 0,
        clusters=comparison.clusters if comparison else 0,
        dropped=comparison.dropped if comparison else 0,
        resamples=comparison.resamples if comparison else 0,
        rows=rows,
        measures={name: one.about.better for name, one in measured.items()},
        suites={name: suite.plain() for name, suite in lock.suites.items()},
        preferences=panels(study),
        headline=_headline(study, rows, primary, advice),
        warnings=warnings(study, measured, rows),
        recommended=advice.recipe,
    )


def _headline(
    study: Study, rows: Sequence[BoardRow], primary: Contrast | None, advice: Recommendation
) -> headline.Sentences:
    """What was found and what to do, in every language."""
    lock = study.lock
    found = headline.headline(rows, primary, lock.primary, lock.english, ENGLISH_LIMIT)
    first = headline.gathered(advice.first)
    last = headline.gathered([*advice.last, *scale(study)])
    return {one: [*first[one], *said, *last[one]] for one, said in found.items()}


def _row(
    study: Study, recipe: str, primary: Contrast | None, measured: Mapping[str, Contrast]
) -> BoardRow:
    cells = study.of(recipe)
    chances = {
        name: value for one in study.evaluations(recipe) for name, value in one.chance.items()
    }
    english = measured.get(study.lock.english or "")
    return BoardRow(
        recipe=recipe,
        base=cells[0].base,
        options=dict(cells[0].options),
        seeds=sorted({cell.seed for cell in cells if cell.done}),
        missing=[f"{cell.suite} {cell.seed}: {cell.state}" for cell in cells if not cell.done],
        standing=_standing(recipe, primary) if primary else None,
        score=primary.scores.get(recipe) if primary else None,
        english=_english(recipe, english) if english else None,
        measures={
            name: Score(
                one.scores[recipe], _difference(recipe, one), _guessed(recipe, one, chances)
            )
            for name, one in measured.items()
            if recipe in one.scores
        },
        cost=_cost(study, cells),
        frontier=recipe in frontier(primary, english),
        trust=trust(study, recipe),
    )


def frontier(primary: Contrast | None, english: Contrast | None) -> set[str]:
    """The recipes that no other beats in the primary score and in English at once."""
    if primary is None or english is None:
        return set()
    both = {
        name: (score * (1 if primary.about.higher else -1), -english.scores[name])
        for name, score in primary.scores.items()
        if name in english.scores
    }
    return unbeaten(both)


def unbeaten(values: Mapping[str, tuple[float, float]]) -> set[str]:
    """The names of which no other is at least as good in both values and better in one."""
    return {
        name
        for name, (x, y) in values.items()
        if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in values.values())
    }


def _standing(recipe: str, primary: Contrast) -> Place | None:
    comparison = primary.comparison
    if comparison is None or recipe not in primary.scores:
        return None
    place = comparison[recipe]
    base, leader = comparison[comparison.base], comparison.standings[0]
    return Place(
        score=Estimate(place.score, place.low, place.high),
        tier=place.tier,
        p_best=place.p_best,
        ranks=None
        if place.rank_low is None or place.rank_high is None
        else (place.rank_low, place.rank_high),
        seeds=place.seeds,
        versus_base=versus(place.versus_base, primary, base) if place.versus_base else None,
        versus_leader=between(primary, recipe, leader.name),
    )


def _guessed(recipe: str, contrast: Contrast, chances: Mapping[str, float]) -> bool:
    """Whether the score's interval holds what guessing gives, where the evaluations say that."""
    chance = chances.get(contrast.measure)
    if chance is None or contrast.comparison is None:
        return False
    place = contrast.comparison[recipe]
    return place.low <= chance <= place.high


def _difference(recipe: str, contrast: Contrast) -> Estimate | None:
    versus = contrast.comparison and contrast.comparison[recipe].versus_base
    return Estimate(versus.value, versus.low, versus.high) if versus else None


def _english(recipe: str, english: Contrast) -> English | None:
    if recipe not in english.scores:
        return None
    difference = _difference(recipe, english)
    if difference is None or english.comparison is None:
        return English(english.scores[recipe], None, False)
    base = english.comparison[english.comparison.base].score
    worse = -1.0 if english.about.higher else 1.0
    change = scaled(difference, worse * 100 / abs(base) if base else worse)
    return English(english.scores[recipe], change, change.value > ENGLISH_LIMIT)


def _cost(study: Study, cells: tuple[CellState, ...]) -> Cost:
    """Sums over the stages of a path, mean over the seeds' paths that are finished.

    FLOPs count distillations of new rows too; what was read counts in trainings alone.
    """
    if not any(cell.path for cell in cells):  # what an endpoint costs is not known
        return Cost(None, None, None, None, None)
    paths = [
        [(kind_of(name), study.stages[name].metrics) for name in path]
        for path in dict.fromkeys(cell.path for cell in cells)
        if all(name in study.stages for name in path)
    ]

    def mean(key: str, kinds: Sequence[str] = TRAINING) -> float | None:
        sums = [sum(float(m.get(key, 0)) for kind, m in path if kind in kinds) for path in paths]
        return sum(sums) / len(sums) if sums else None

    trainable = [
        [m.get("trainable_parameters", 0) for kind, m in p if kind in TRAINING] for p in paths
    ]
    return Cost(
        flops=mean("flops", COMPUTING),
        korean_bytes=mean("ko_bytes"),
        bytes=mean("bytes"),
        tokens=mean("tokens"),
        trainable_parameters=max((max(p, default=0) for p in trainable), default=None),
    )
