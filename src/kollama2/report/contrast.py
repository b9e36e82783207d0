"""Contrasts: every measure of a study over all of its recipes, paired by item."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kollama2.engine.record import unreadable
from kollama2.errors import BadData, Corrupt
from kollama2.evaluation.measures import measure
from kollama2.evaluation.records import Items, load_items
from kollama2.evaluation.statistics import RESAMPLES, SIDE_RESAMPLES, Comparison, family
from kollama2.report.records import Study

TRAINING = ("pretrain", "finetune", "prefer")
_ByMeasure = Mapping[str, Mapping[str, list[Items]]]


@dataclass(frozen=True)
class Contrast:
    """One measure: the score of every recipe and, if the base has it, their comparison.

    Attributes:
        scores: mean over a recipe's seeds.
        higher: whether more is better; None where nobody has declared it.
        comparison: None where the base was not measured, since then nothing can be paired, and for
            a measure without direction.
    """

    measure: str
    higher: bool | None
    scores: Mapping[str, float]
    comparison: Comparison | None

    @property
    def in_bits(self) -> bool:
        """Whether the measure is bits per byte, for which per cent of the base make sense."""
        return self.measure.rpartition("/")[2] == "bpb"


def contrasts(study: Study, items: _ByMeasure | None = None) -> dict[str, Contrast]:
    """The contrast of each measure of a study, the primary one first, then the English one.

    Args:
        study: whose records were read.
        items: what `measured` gives, if it is there already.

    Raises:
        Corrupt: the items of a finished cell cannot be read.
    """
    found = measured(study) if items is None else items
    seeded = trained(study)
    decisive = (study.lock["primary"], study.lock["english"])
    names = dict.fromkeys([*(name for name in decisive if name in found), *found])
    return {name: _contrast(study, name, found[name], seeded, name in decisive) for name in names}


def _contrast(
    study: Study,
    name: str,
    by_recipe: Mapping[str, list[Items]],
    seeded: Collection[str],
    decisive: bool,
) -> Contrast:
    higher = direction(study, name)
    base = study.recipes[0]
    comparison = None
    if base in by_recipe and higher is not None:
        resamples = RESAMPLES if decisive else SIDE_RESAMPLES
        try:
            comparison = family(by_recipe, base, higher, trained=seeded, resamples=resamples)
        except BadData as error:
            raise Corrupt(f"The records of {name} do not fit together: {error}") from error
    scores = {
        recipe: sum(seed.score for seed in seeds) / len(seeds)
        for recipe, seeds in by_recipe.items()
    }
    return Contrast(name, higher, scores, comparison)


def trained(study: Study) -> list[str]:
    """The recipes that train: another seed would have made other models of them."""
    return [
        recipe
        for recipe in study.recipes
        if any(
            name.rpartition("-")[0] in TRAINING for cell in study.of(recipe) for name in cell.path
        )
    ]


def measured(study: Study) -> dict[str, dict[str, list[Items]]]:
    """Measure -> recipe -> one set of items per training.

    A recipe that no seed changes (the base) has one evaluation under all seeds; it counts once. A
    measure of a second suite that has the name of a first one gets the suite's name before it.

    Raises:
        Corrupt: the items of a finished cell cannot be read.
    """
    by_measure: dict[str, dict[str, list[Items]]] = {}
    owner: dict[str, str] = {}
    for recipe in study.recipes:
        cells = {cell.evaluate: cell for cell in study.of(recipe) if cell.done}
        for cell in cells.values():
            path = study.store / cell.evaluate / "items.jsonl"
            if not path.is_file():
                raise unreadable(path, "is missing from a finished stage")
            try:
                found = load_items(path)
            except BadData as error:
                raise Corrupt(str(error)) from error
            for plain, items in found.items():
                same = owner.setdefault(plain, cell.suite) == cell.suite
                name = plain if same else f"{cell.suite}:{plain}"
                by_measure.setdefault(name, {}).setdefault(recipe, []).append(items)
    return by_measure


def direction(study: Study, name: str) -> bool | None:
    """Whether more of a measure is better, as the evaluation recorded that has it first."""
    suite, _, plain = name.rpartition(":")
    for recipe in study.recipes:
        for cell in study.of(recipe):
            if cell.done and suite in ("", cell.suite):
                recorded = study.stages[cell.evaluate].metrics.get("measures", {})
                if plain in recorded:
                    return measure(plain, recorded).higher
    return measure(plain).higher
