"""Evaluate and compare: models beside a study, measured on one suite."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from kollama2.api import standings
from kollama2.api.adapt import named
from kollama2.api.checked import AtLeast0, AtLeast1, checked
from kollama2.api.compute import Progress, compute, machine, silent, under
from kollama2.api.places import mirrors_at, store_at
from kollama2.api.shown import WIDTH, Shown
from kollama2.engine.profile import Profile
from kollama2.errors import BadUsage
from kollama2.evaluation import compare as paired
from kollama2.evaluation.contrast import load_measured, load_metrics
from kollama2.locale import say
from kollama2.model.folder import ModelFolder
from kollama2.records.done import Evaluation
from kollama2.records.measures import measure
from kollama2.study.evaluation import Wanted, evaluations


@dataclass(frozen=True)
class Scores(Shown):
    """What one model scored on a suite.

    Attributes:
        model: the model as it was named.
        folder: of the finished evaluation in the store, with the records of all items.
        metrics: the record of the evaluation.
    """

    model: str
    folder: Path
    metrics: Evaluation = field(repr=False)

    @property
    def scores(self) -> Mapping[str, float]:
        """The scores by full measure name, such as `text-ko/bpb`."""
        return self.metrics.scores

    def plain(self) -> dict[str, float]:
        """The scores as plain values, as `--json` prints them."""
        return dict(self.scores)

    def rows(self) -> list[dict[str, Any]]:
        """One row a measure."""
        return [
            {"measure": name, "score": value, "unit": about.unit, "better": about.better}
            for name, value in self.scores.items()
            for about in [measure(name, self.metrics.measures)]
        ]

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """The scores, and what a reader of them must know."""
        return [standings.scores(self.metrics), *standings.remarks(self.model, self.metrics)]


@dataclass(frozen=True)
class Comparison(Shown):
    """Models on one suite: paired differences, tiers, and what could not be told apart.

    Attributes:
        compared: everything that was found, by measure.
    """

    compared: paired.Compared = field(repr=False)

    @property
    def base(self) -> str:
        """The model that the others are compared with."""
        return self.compared.base

    @property
    def models(self) -> tuple[str, ...]:
        """The models as they were named."""
        return tuple(self.compared.models)

    def plain(self) -> dict[str, Any]:
        """Everything as plain values, as `--json` prints it."""
        return self.compared.to_json()

    def rows(self) -> list[dict[str, Any]]:
        """One row a measure and model, the primary measure and the best model first."""
        return standings.rows(self.compared)

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """A table for each measure, what to doubt, and what each model is."""
        return standings.tables(self.compared)


@checked
def evaluate(
    model: str | Path | ModelFolder,
    suite: str | Path | None = None,
    *,
    tasks: Sequence[str] = (),
    include: str | Path | None = None,
    only: Sequence[str] = (),
    num_fewshot: AtLeast0 | None = None,
    limit: AtLeast1 | None = None,
    template: str | None = None,
    onto: str | None = None,
    key: str | None = None,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score one model on a suite or on lm-eval tasks.

    Args:
        model: model folder, GGUF file, `hf:` id, `builtin:miniature`, or a model behind an
            OpenAI-compatible endpoint as `https://host/v1#model`.
        suite: name or YAML file of a suite; `quick` if nothing else is asked for.
        tasks: lm-eval tasks, instead of a suite.
        include: folder of your own lm-eval task files; all of them run unless `tasks` names some.
        only: tasks of the suite to measure; none: all. The id of the suite changes with them.
        num_fewshot: examples before each item, with `tasks` or `include`.
        limit: only the first items of each task; the id of the suite changes with it.
        template: chat template; None: the model's own.
        onto: base of an adapter in the place of the one that it names.
        key: environment variable with the key of an endpoint; None: `OPENAI_API_KEY`.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: one stage a core.
        progress: called with each event, in this thread; None: nothing is told.

    Returns:
        The scores. Once measured, the same call answers at once.

    Raises:
        Fault: something that is named does not exist or does not fit, or the evaluation failed.
    """
    wanted = _wanted(suite, tasks, include, only, num_fewshot, limit, template, onto, key)
    name = named(model)
    folders, _ = _measured([name], wanted, store, mirrors, profile, progress)
    return Scores(name, folders[name], load_metrics(folders[name]))


@checked
def compare(
    models: Sequence[str | Path | ModelFolder],
    suite: str | Path | None = None,
    *,
    base: str | Path | ModelFolder | None = None,
    tasks: Sequence[str] = (),
    include: str | Path | None = None,
    only: Sequence[str] = (),
    num_fewshot: AtLeast0 | None = None,
    limit: AtLeast1 | None = None,
    template: str | None = None,
    onto: str | None = None,
    key: str | None = None,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Evaluate several models on one suite and compare them, paired by item.

    Args:
        models: the base first; each as for `evaluate`, or the folder of a finished evaluation.
        suite: name or YAML file of a suite; `quick` if nothing else is asked for.
        base: model to compare the others with, if not the first.
        tasks: lm-eval tasks, instead of a suite.
        include: folder of your own lm-eval task files; all of them run unless `tasks` names some.
        only: tasks of the suite to measure; none: all. The id of the suite changes with them.
        num_fewshot: examples before each item, with `tasks` or `include`.
        limit: only the first items of each task; the id of the suite changes with it.
        template: chat template for all models; None: each one's own.
        onto: base of those that are adapters in the place of the one that each names.
        key: environment variable with the key of the endpoints; None: `OPENAI_API_KEY`.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: one stage a core.
        progress: called with each event, in this thread; None: nothing is told.

    Returns:
        The comparison. What is measured already is not measured again.

    Raises:
        BadData: the models were measured on different suites, or share no item.
        Fault: something that is named does not exist or does not fit, or an evaluation failed.
    """
    wanted = _wanted(suite, tasks, include, only, num_fewshot, limit, template, onto, key)
    start = None if base is None else named(base)
    names = list(dict.fromkeys(map(named, models)))
    if start is not None and start not in names:
        names.insert(0, start)
    if len(names) < 2:
        raise BadUsage(say("name at least two different models to compare"))
    folders = {one: Path(one) for one in names if (Path(one) / "items.jsonl").is_file()}
    primary = ""
    if rest := [one for one in names if one not in folders]:
        fresh, primary = _measured(rest, wanted, store, mirrors, profile, progress)
        folders |= fresh
    primary = primary or next(iter(load_measured(folders[names[0]]).items))
    ordered = {one: folders[one] for one in names}
    return Comparison(paired.compare(ordered, primary=primary, base=start))


def _wanted(
    suite: str | Path | None,
    tasks: Sequence[str],
    include: str | Path | None,
    only: Sequence[str],
    *more: Any,
) -> Wanted:
    """What is wanted, in the types that a study has; `more` as `Wanted` goes on."""
    asked = None if suite is None else str(suite)
    own = None if include is None else Path(include)
    return Wanted(asked, tuple(tasks), own, tuple(only), *more)


def _measured(
    models: list[str],
    wanted: Wanted,
    store: str | Path | None,
    mirrors: str | Path | None,
    profile: str | Path | Profile | None,
    progress: Progress | None,
) -> tuple[dict[str, Path], str]:
    """The folder of each model's finished evaluation, and the measure that ranks them."""
    if wanted.key is not None and not os.environ.get(wanted.key):
        raise BadUsage(
            say(
                "the environment variable {name}, which should hold the API key, is not set",
                name=wanted.key,
            )
        )
    place = store_at(store)
    stages = evaluations(models, wanted, store=place, mirrors=mirrors_at(mirrors))
    label = f"evaluate {models[0]}" if len(models) == 1 else f"evaluate {len(models)} models"
    size, tell = machine(profile), progress or silent
    folders = compute(list(stages.values()), place, size, under(label), tell)
    suite = next(iter(stages.values())).suite
    return dict(zip(stages, folders, strict=True)), suite.primary
