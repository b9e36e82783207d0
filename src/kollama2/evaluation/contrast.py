"""Contrasts: what several models scored on a measure, and their comparison paired by item."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kollama2.engine.commit import verified
from kollama2.errors import BadData
from kollama2.evaluation.statistics import RESAMPLES, SIDE_RESAMPLES, Comparison, family
from kollama2.records.done import Done, Evaluation
from kollama2.records.items import ITEMS, Items, load_items
from kollama2.records.measures import Measure, measure
from kollama2.records.read import DONE, part, read


@dataclass(frozen=True)
class Measured:
    """One model's finished evaluation: the metrics of its record and its items by measure."""

    metrics: Evaluation
    items: Mapping[str, Items]


@dataclass(frozen=True)
class Contrast:
    """One measure: the score of every model and, if the base has it, their comparison.

    Attributes:
        measure: its full name; `about` says what it is.
        items: per model those of each of its trainings; `scores` are means over the trainings.
        comparison: None where the base was not measured, since then nothing can be paired, and for
            a measure without direction.
    """

    measure: str
    about: Measure
    items: Mapping[str, Sequence[Items]] = field(repr=False)
    scores: Mapping[str, float]
    comparison: Comparison | None

    @property
    def in_bits(self) -> bool:
        """Whether the measure is bits per byte, for which per cent of the base make sense."""
        return self.measure.rpartition("/")[2] == "bpb"


def load_metrics(folder: Path) -> Evaluation:
    """The metrics of a finished evaluation, compared with what was written; no item is read.

    Raises:
        BadData: the folder is not one.
        Corrupt, Missing: it is damaged; a newer kollama2 wrote it.
    """
    done = folder / DONE
    if not done.is_file() or not (folder / ITEMS).is_file():
        raise BadData(f"{folder} is no finished evaluation: {DONE} or {ITEMS} is missing")
    return part(done, read(verified(done), Done).metrics, Evaluation)


def load_measured(folder: Path) -> Measured:
    """The record of a finished evaluation, compared with what was written.

    Raises:
        BadData, Corrupt, Missing: as `load_metrics`.
    """
    return Measured(load_metrics(folder), load_items(verified(folder / ITEMS)))


def contrasts(
    models: Mapping[str, Sequence[Measured]],
    base: str,
    names: Iterable[str],
    *,
    decisive: Collection[str],
    trained: Collection[str] = (),
) -> dict[str, Contrast]:
    """The contrast of each of these measures.

    Args:
        models: per model the evaluation of each of its trainings.
        base: the model that the others are compared with.
        names: of measures; only models that have one stand in its contrast.
        decisive: measures that get the full number of draws.
        trained: as for `family`.

    Raises:
        BadData: evaluations contradict each other on a direction, or share no item.
    """
    found = {}
    for name in names:
        about = agreed(name, models)
        items = {
            model: [one.items[name] for one in each if name in one.items]
            for model, each in models.items()
        }
        items = {model: each for model, each in items.items() if each}
        comparison = None
        if base in items and about.higher is not None:
            draws = RESAMPLES if name in decisive else SIDE_RESAMPLES
            share = about.unit == "share"
            try:
                comparison = family(
                    items, base, about.higher, share=share, trained=trained, resamples=draws
                )
            except BadData as error:
                raise BadData(f"{name}: {error}") from error
        scores = {
            model: sum(one.score for one in each) / len(each) for model, each in items.items()
        }
        found[name] = Contrast(name, about, items, scores, comparison)
    return found


def agreed(name: str, models: Mapping[str, Sequence[Measured]]) -> Measure:
    """What a measure is, as all evaluations say that recorded it.

    Raises:
        BadData: they contradict each other.
    """
    said = {
        model: one.metrics.measures
        for model, each in models.items()
        for one in each
        if name in one.items and name in one.metrics.measures
    }
    if len({recorded[name].higher for recorded in said.values()}) > 1:
        told = ", ".join(f"{model}: {one[name].better}" for model, one in said.items())
        raise BadData(f"the evaluations disagree whether more of {name} is better ({told})")
    return measure(name, next(iter(said.values()), {}))
