"""The contrasts of a study: every measure over all of its recipes, paired by item."""

from dataclasses import replace

from kollama2.errors import BadData, Corrupt
from kollama2.evaluation import contrast
from kollama2.evaluation.contrast import Contrast, Measured
from kollama2.reporting.study import Study


def contrasts(study: Study) -> dict[str, Contrast]:
    """The contrast of each measure of a study, the primary one first, then the English one.

    Raises:
        Corrupt: the items of a finished cell cannot be read, or do not fit together.
    """
    found = measured(study)
    decisive = [name for name in (study.lock.primary, study.lock.english) if name]
    every = dict.fromkeys(name for each in found.values() for one in each for name in one.items)
    names = dict.fromkeys([*(name for name in decisive if name in every), *every])
    try:
        return contrast.contrasts(
            found, study.recipes[0], names, decisive=decisive, trained=study.trained
        )
    except BadData as error:
        raise Corrupt(f"The records of {study.name} do not fit together: {error}") from error


def measured(study: Study) -> dict[str, list[Measured]]:
    """By recipe what each of its trainings measured.

    A measure of a second suite that has the name of a first one gets the suite's name before it.

    Raises:
        Corrupt: the items of a finished cell cannot be read.
    """
    owner: dict[str, str] = {}

    def named(plain: str, suite: str) -> str:
        return plain if owner.setdefault(plain, suite) == suite else f"{suite}:{plain}"

    found: dict[str, list[Measured]] = {}
    for recipe in study.recipes:
        for cell in study.finished(recipe):
            one = study.stages[cell.evaluate].measured
            items = {named(name, cell.suite): each for name, each in one.items.items()}
            about = {named(name, cell.suite): each for name, each in one.metrics.measures.items()}
            metrics = one.metrics.model_copy(update={"measures": about})
            found.setdefault(recipe, []).append(replace(one, metrics=metrics, items=items))
    return found
