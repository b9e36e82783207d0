"""Compares measured models measure by measure, from the records that their evaluations left."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.evaluation.contrast import Measured, agreed, contrasts, load_measured
from kollama2.evaluation.statistics import Comparison
from kollama2.records.measures import Measure

_SHOWN = {
    "scores", "by_prompt", "corpus", "counts", "flags", "tokenizer", "parameters", "seconds"
}  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """Several models on one suite.

    Attributes:
        base: the model that the others are compared with.
        suite: the suite's id, the same for all.
        models: what each was measured to be.
        comparisons: by full measure name, the primary one first, over the models that have the
            measure (one behind an endpoint has no likelihoods); the base is always one of them.
        measures: what each of these measures is.
        undirected: measures that say nothing of more or less being better, so nothing is compared.
    """

    base: str
    suite: str
    models: Mapping[str, Measured]
    comparisons: Mapping[str, Comparison]
    measures: Mapping[str, Measure]
    undirected: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        return {
            "base": self.base,
            "suite": self.suite,
            "models": {
                name: one.metrics.model_dump(include=_SHOWN, exclude_unset=True)
                for name, one in self.models.items()
            },
            "measures": {name: one.declared() for name, one in self.measures.items()},
            "undirected": list(self.undirected),
            "comparisons": {name: asdict(one) for name, one in self.comparisons.items()},
        }


def compare(models: Mapping[str, Path], *, primary: str, base: str | None = None) -> Compared:
    """Compare models that were measured on the same suite.

    Args:
        models: folders of finished evaluations by the names to show.
        primary: the measure that ranks them; the first one gets the full number of resamples.
        base: the model to compare with; the first if not given.

    Raises:
        BadData: the models were measured on different suites or share no items, or nobody has
            declared the direction of the measure that ranks them.
        Corrupt, Missing: an evaluation is damaged, or a newer kollama2 wrote it.
    """
    measured = {name: load_measured(folder) for name, folder in models.items()}
    ids = {name: one.metrics.suite for name, one in measured.items()}
    if len(set(ids.values())) > 1:
        told = ", ".join(f"{name}: {suite}" for name, suite in ids.items())
        raise BadData(
            f"the models were measured on different suites ({told}); evaluate them again on one"
        )
    start = base or next(iter(models))
    each = {name: [one] for name, one in measured.items()}
    about = {
        name: agreed(name, each)
        for name in measured[start].items
        if sum(name in one.items for one in measured.values()) > 1
    }
    if primary in about and about[primary].higher is None:
        raise BadData(
            f"nobody has declared whether more or less of {primary} is better; say "
            "higher_is_better in the metric_list of the task's file"
        )
    names = sorted(
        (name for name, one in about.items() if one.higher is not None),
        key=lambda name: name != primary,
    )
    found = contrasts(each, start, names, decisive=names[:1])
    return Compared(
        start,
        ids[start],
        measured,
        {name: one.comparison for name, one in found.items() if one.comparison},
        {name: one.about for name, one in found.items()},
        tuple(name for name, one in about.items() if one.higher is None),
    )
