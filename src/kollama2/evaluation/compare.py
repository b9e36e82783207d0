"""Compares measured models measure by measure, from the records that their evaluations left."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kollama2.engine.record import read_object
from kollama2.errors import BadData
from kollama2.evaluation.measures import Measure, measure
from kollama2.evaluation.records import Items, load_items
from kollama2.evaluation.statistics import RESAMPLES, SIDE_RESAMPLES, Comparison, family

_SHOWN = (
    "scores", "by_prompt", "corpus", "counts", "flags", "tokenizer", "parameters", "seconds"
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One model's finished evaluation: the metrics of its record and its items by measure."""

    metrics: Mapping[str, Any]
    items: Mapping[str, Items]


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
                name: {key: one.metrics[key] for key in _SHOWN if key in one.metrics}
                for name, one in self.models.items()
            },
            "measures": {name: one.declared() for name, one in self.measures.items()},
            "undirected": list(self.undirected),
            "comparisons": {name: asdict(one) for name, one in self.comparisons.items()},
        }


def load_measured(folder: Path) -> Measured:
    """The record of a finished evaluation.

    Raises:
        BadData: the folder is not one.
        Corrupt, Missing: its record lacks its metrics; a newer kollama2 wrote it.
    """
    done, items = folder / "done.json", folder / "items.jsonl"
    if not done.is_file() or not items.is_file():
        raise BadData(f"{folder} is no finished evaluation: done.json or items.jsonl is missing")
    return Measured(read_object(done)["metrics"], load_items(items))


def compare(models: Mapping[str, Path], *, primary: str, base: str | None = None) -> Compared:
    """Compare models that were measured on the same suite.

    Args:
        models: folders of finished evaluations by the names to show.
        primary: the measure that ranks them; the first one gets the full number of resamples.
        base: the model to compare with; the first if not given.

    Raises:
        BadData: the models were measured on different suites or share no items, or nobody has
            declared the direction of the measure that ranks them.
    """
    measured = {name: load_measured(folder) for name, folder in models.items()}
    ids = {name: str(one.metrics["suite"]) for name, one in measured.items()}
    if len(set(ids.values())) > 1:
        told = ", ".join(f"{name}: {suite}" for name, suite in ids.items())
        raise BadData(
            f"the models were measured on different suites ({told}); evaluate them again on one"
        )
    start = base or next(iter(models))
    shared = [
        name
        for name in measured[start].items
        if sum(name in m.items for m in measured.values()) > 1
    ]
    about = {name: _declared(name, measured) for name in shared}
    if primary in about and about[primary].higher is None:
        raise BadData(
            f"nobody has declared whether more or less of {primary} is better; say "
            "higher_is_better in the metric_list of the task's file"
        )
    directions = {name: one.higher for name, one in about.items() if one.higher is not None}
    names = sorted(directions, key=lambda name: name != primary)
    comparisons = {
        name: family(
            {model: [one.items[name]] for model, one in measured.items() if name in one.items},
            start,
            directions[name],
            resamples=RESAMPLES if name == names[0] else SIDE_RESAMPLES,
        )
        for name in names
    }
    return Compared(
        start,
        next(iter(ids.values())),
        measured,
        comparisons,
        {name: about[name] for name in names},
        tuple(name for name in shared if name not in directions),
    )


def _declared(name: str, measured: Mapping[str, Measured]) -> Measure:
    """What a measure is, as all models' evaluations say.

    Raises:
        BadData: they contradict each other.
    """
    said = {
        model: measure(name, one.metrics.get("measures", {}))
        for model, one in measured.items()
        if name in one.items
    }
    if len({one.higher for one in said.values()}) > 1:
        told = ", ".join(f"{model}: {one.better}" for model, one in said.items())
        raise BadData(f"the evaluations disagree whether more of {name} is better ({told})")
    return next(iter(said.values()))
