"""Recommendation: which recipe to take, what it costs, what is not known, how to take it away."""

from collections.abc import Sequence
from typing import NamedTuple

from kollama2.evaluation.contrast import Contrast
from kollama2.locale import LANGUAGES, Language
from kollama2.reporting.board import Leaderboard, Row
from kollama2.reporting.study import Study
from kollama2.reporting.terminal import answered, quantity
from kollama2.reporting.texts import say_all
from kollama2.reporting.versus import between

Texts = dict[Language, str]

KOREAN = 0.8  # share of free answers in Korean from which a recipe is admissible
SEEN = 0.05  # share of the primary task's items in the training data up to which it is
CHEAPER = 0.95  # share of the best one's FLOPs below which another recipe is cheaper


class Recommendation(NamedTuple):
    """Sentences, `first` before all others, `last` after them, and the recipe they recommend.

    Without a verdict `recipe` is the most promising one; None where the base should be kept or
    none is admissible.
    """

    first: list[Texts]
    last: list[Texts]
    recipe: str | None = None


def recommend(
    study: Study, rows: Sequence[Row], contrast: Contrast | None, limit: float, spoken: str | None
) -> Recommendation:
    """What a practitioner should do with the result.

    Admissible is a recipe that keeps its English, answers in Korean and has not read the items that
    it is judged by; the best of those that beat the base is recommended.

    Args:
        study: whose records lead to the model.
        rows: of the leaderboard.
        contrast: the primary measure, None if nothing was measured.
        limit: per cent by which English may grow worse.
        spoken: the measure of how many free answers are Korean, None if there is none.
    """
    candidates = [row for row in rows if not row.base and row.standing]
    if contrast is None or contrast.comparison is None or not candidates:
        return Recommendation([], [])
    task = contrast.measure.partition("/")[0]
    faults = {row.recipe: _faults(row, task, limit, spoken) for row in candidates}
    admissible = [row for row in candidates if not faults[row.recipe]]
    if not admissible:
        nearest = min(candidates, key=lambda row: len(faults[row.recipe]))
        why = _joined(faults[nearest.recipe], "; ")
        said = {
            language: say_all("recommend.nobody", name=nearest.recipe, why=why[language])[language]
            for language in LANGUAGES
        }
        return Recommendation([said], _guessed(rows))
    ranked = contrast.comparison.ranked
    best = next((row for row in admissible if not ranked or _beats_base(row)), None)
    if best is None:
        said = say_all("recommend.none_better", measure=contrast.measure)
        return Recommendation([], [said, *_guessed(rows)])
    advice = _advice(study, admissible, best, contrast)
    return Recommendation([], advice + _guessed(rows), best.recipe)


def shortcomings(board: Leaderboard, row: Row) -> list[str]:
    """Why a leaderboard's recipe is not admissible; nothing for one that is, or for the base."""
    task, spoken = board.primary.partition("/")[0], answered(board.measures)
    found = [] if row.base else _faults(row, task, board.english_limit, spoken)
    return [one["en"] for one in found]


def scale(study: Study) -> list[Texts]:
    """For models of which size the answer was measured; nothing where there is none to be known."""
    if len(study.recipes) == 1:
        return []
    sizes = [one.parameters or 0 for one in study.evaluations(study.recipes[0])]
    return [say_all("recommend.scale", size=quantity(max(sizes), ""))] if any(sizes) else []


def _advice(study: Study, admissible: Sequence[Row], best: Row, contrast: Contrast) -> list[Texts]:
    """The best admissible recipe, its price, a cheaper one that ties, and what is not known."""
    assert contrast.comparison is not None, "rows stand in a comparison"
    ranked = contrast.comparison.ranked
    tied = [row for row in admissible if row is not best and _tie(contrast, best, row)]
    key = "recommend.best" if ranked else "recommend.promising"
    flops = quantity(best.cost.flops, "FLOPs")
    said = [say_all(key, name=best.recipe, flops=flops, of=len(admissible))]
    price = best.cost.flops
    cheaper = [row for row in tied if price and (row.cost.flops or price) < CHEAPER * price]
    if ranked and cheaper and price:
        cheapest = min(cheaper, key=lambda row: row.cost.flops or price)
        ratio = f"{(cheapest.cost.flops or 0.0) / price:.2g}"
        said.append(say_all("recommend.cheaper", name=cheapest.recipe, ratio=ratio))
    said.append(say_all("recommend.take", name=best.recipe, study=study.name))
    if ranked and tied:
        names = ", ".join(row.recipe for row in (best, *tied))
        share = _of_seeds(contrast, best, tied)
        key = "recommend.more_seeds" if share > 0.5 else "recommend.more_items"
        said.append(say_all(key, names=names, share=f"{100 * max(share, 1 - share):.0f}"))
    return said


def _faults(row: Row, task: str, limit: float, spoken: str | None) -> list[Texts]:
    """Why a recipe is not admissible."""
    said = []
    if row.english and row.english.flag and row.english.change:
        change = f"{row.english.change.value:+.1f}"
        said.append(say_all("recommend.english", change=change, limit=f"{limit:g}"))
    answers = row.measures.get(spoken) if spoken else None
    if answers and answers.score < KOREAN:
        shown = {"share": f"{100 * answers.score:.0f}", "wanted": f"{100 * KOREAN:.0f}"}
        said.append(say_all("recommend.korean", **shown))
    seen = row.trust.seen
    if seen and seen.flagged.get(task, 0) > SEEN * seen.judged.get(task, 0):
        counts = {"count": seen.flagged[task], "judged": seen.judged[task]}
        said.append(say_all("recommend.seen", task=task, **counts))
    return said


def _guessed(rows: Sequence[Row]) -> list[Texts]:
    """Measures on which no recipe is better than guessing, so that they measured nothing."""
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row.measures)
        if all(row.measures[name].guessed for row in rows if name in row.measures)
    ]
    return [say_all("recommend.guessed", names=", ".join(names))] if names else []


def _beats_base(row: Row) -> bool:
    versus = row.standing.versus_base if row.standing else None
    return versus is not None and versus.separable and versus.gain.value > 0


def _tie(contrast: Contrast, best: Row, other: Row) -> bool:
    versus = between(contrast, best.recipe, other.recipe)
    return versus is not None and not versus.separable


def _of_seeds(contrast: Contrast, best: Row, tied: Sequence[Row]) -> float:
    """The share of the variance of these differences that trainings make."""
    assert contrast.comparison is not None, "rows stand in a comparison"
    names = {row.recipe for row in tied}
    shares = [
        pair.of_seeds
        for pair in contrast.comparison.pairs
        if best.recipe in (pair.left, pair.right) and names & {pair.left, pair.right}
    ]
    return sum(shares) / len(shares)


def _joined(texts: Sequence[Texts], between_them: str) -> Texts:
    return {language: between_them.join(one[language] for one in texts) for language in LANGUAGES}
