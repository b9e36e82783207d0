"""Evaluation: models beside a study, each measured on the same suite by the same stage."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from kollama2.engine.document import nodes
from kollama2.engine.hub import PREFIX, load_mirrors, snapshot
from kollama2.errors import BadUsage, Notice
from kollama2.evaluation.endpoint import KEY
from kollama2.evaluation.kinds import Harness, Induction, Mean
from kollama2.evaluation.suite import Suite, load_suite
from kollama2.model.files import ADAPTER_CONFIG
from kollama2.model.folder import OWN, is_adapter, named_base
from kollama2.model.templates import check_template
from kollama2.stages import Ask, Evaluate, Source
from kollama2.study.adapt import spec_of
from kollama2.study.cells import answerable, answered_by, suite_sources
from kollama2.study.locate import Locator
from kollama2.study.schema import EndpointSpec


@dataclass(frozen=True)
class Wanted:
    """What models are measured on, a suite, lm-eval tasks or one's own files, and how.

    Attributes:
        suite: name or YAML file of a suite; `quick` if nothing else is named.
        tasks: names of lm-eval tasks, in place of a suite.
        include: folder or file with lm-eval task files of the user's own.
        only: tasks of the suite to measure, all if empty; the suite's id changes with them.
        num_fewshot: examples before each item of `tasks`; what their files say if not given.
        limit: only the first so many items of each task; the suite's id changes with it.
        template: chat template for all models; else each one's own.
        onto: the base of those that are adapters, in the place of the one that each names.
        key: environment variable that holds the key of endpoints.
    """

    suite: str | None = None
    tasks: tuple[str, ...] = ()
    include: Path | None = None
    only: tuple[str, ...] = ()
    num_fewshot: int | None = None
    limit: int | None = None
    template: str | None = None
    onto: str | None = None
    key: str | None = None


def wanted_suite(wanted: Wanted, folder: Path) -> Suite:
    """The suite that is wanted; lm-eval tasks that stand alone become a suite named `tasks`.

    Raises:
        BadUsage: there is no such suite or task, or two wishes contradict each other.
    """
    names = wanted.tasks
    if wanted.include is not None and not names and wanted.suite is None:
        names = _names(wanted.include)
    if not names:
        if wanted.num_fewshot is not None:
            raise BadUsage(
                "num_fewshot is for tasks of lm-eval that are named; those of a suite have "
                "their own in its file"
            )
        path = folder / (wanted.suite or "quick")
        suite = load_suite(path if path.is_file() else wanted.suite or "quick")
        return _limited(_only(_including(suite, wanted.include), wanted.only), wanted.limit)
    if wanted.suite is not None:
        raise BadUsage("name a suite or tasks of lm-eval, not both; a suite can hold such tasks")
    if wanted.only:
        raise BadUsage(
            "only chooses among the tasks of a suite; of lm-eval's name just those that are wanted"
        )
    try:
        tasks = tuple(
            Harness(
                name=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
                measure_kind="harness",
                tasks=(name,),
                num_fewshot=wanted.num_fewshot,
            )
            for name in names
        )
        suite = Suite(name="tasks", primary=f"{tasks[0].name}/acc", tasks=tasks)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadUsage(f"{', '.join(names)} can be no tasks: {said}") from error
    return _limited(_including(suite, wanted.include), wanted.limit).defined()


def _including(suite: Suite, include: Path | None) -> Suite:
    if include is None:
        return suite
    if not include.exists():
        raise BadUsage(f"nothing lies at {include}; --include names a folder of lm-eval task files")
    for file in _task_files(include):
        nodes(file)  # lm-eval's own reader has no limits
    return _included(suite, f"file:{include.resolve()}")


def _included(suite: Suite, uri: str) -> Suite:
    tasks = [
        one.model_copy(update={"include": uri}) if isinstance(one, Harness) else one
        for one in suite.tasks
    ]
    return suite.model_copy(update={"tasks": tuple(tasks)})


def _only(suite: Suite, names: Sequence[str]) -> Suite:
    if not names:
        return suite
    known = [task.name for task in suite.tasks]
    for name in names:
        if name not in known:
            raise BadUsage(f"suite {suite.name} has no task {name!r}; it has {', '.join(known)}")
    tasks = tuple(task for task in suite.tasks if task.name in names)
    part = suite.model_copy(update={"tasks": tasks, "english": None})
    primary = suite.primary if suite.primary in part.measures() else part.measures()[0]
    return part.model_copy(update={"primary": primary})


def _limited(suite: Suite, limit: int | None) -> Suite:
    """The suite with at most so many items in each task; means are of what is left.

    A task that needs more items to measure anything gets as many as it needs.
    """
    if limit is None:
        return suite
    for one in suite.tasks:
        if one.least > limit:
            warnings.warn(
                Notice(
                    f"{one.name} measures nothing with less than {one.least} items, "
                    f"so it gets {one.least}"
                ),
                stacklevel=2,
            )
    tasks = tuple(
        one
        if isinstance(one, Mean)
        else one.model_copy(update={"size": min(limit, one.size)})
        if isinstance(one, Induction)
        else one.model_copy(update={"limit": max(one.least, min(limit, one.limit or limit))})
        for one in suite.tasks
    )
    return suite.model_copy(update={"tasks": tasks})


def _names(include: Path) -> tuple[str, ...]:
    """Names of all tasks that the YAML files of a folder define.

    Raises:
        BadUsage: it holds none.
    """
    names = []
    for file in _task_files(include):
        for node in nodes(file):
            if not isinstance(node, yaml.MappingNode):
                continue
            # Composed, not loaded: a task's file may name functions by a tag of its own.
            for key, value in node.value:
                if key.value == "task" and isinstance(value, yaml.ScalarNode):
                    names.append(str(value.value))
    if not names:
        raise BadUsage(f"{include} holds no lm-eval task file (a YAML file with a `task:`)")
    return tuple(dict.fromkeys(names))


def _task_files(include: Path) -> list[Path]:
    return [include] if include.is_file() else sorted(include.rglob("*.yaml"))


def evaluations(
    models: Sequence[str], wanted: Wanted, *, store: Path, mirrors: Path | None = None
) -> dict[str, Evaluate | Ask]:
    """The stages that measure models on one suite, by the models as they were named.

    Models are named as for `kollama2.evaluate`.

    Raises:
        BadUsage: a model, the suite or the template does not exist, an endpoint has nothing to
            answer, or `onto` is given and none of the models is an adapter.
        BadData: an adapter names no base that is there.
        Missing: data are on a hub that cannot be reached, and no mirror serves.
    """
    template, onto = wanted.template or OWN, wanted.onto
    check_template(template)
    locator = Locator(Path.cwd(), load_mirrors(mirrors), store / "hashes.json")
    suite = wanted_suite(wanted, locator.folder)
    remote = {
        model: spec for model in models if (spec := endpoint(model, wanted.key or KEY)) is not None
    }
    if remote and not answerable(suite):
        raise BadUsage(
            f"{next(iter(remote))} gives answers and no likelihoods, but the suite {suite.name} "
            "has no task that is answered in chat"
        )
    local = [model for model in models if model not in remote]
    sources = {model: locator.source(spec_of(model), "model") for model in local}
    bases = {model: _base(source, locator, onto) for model, source in sources.items()}
    if onto is not None and not any(bases.values()):
        raise BadUsage(f"--onto is for adapters, and {', '.join(local) or models[0]} is none")
    data = suite_sources(suite, locator)
    if wanted.include is not None:
        # The folder counts by its name and content, not by where it lies on this machine.
        place, name = f"file:{wanted.include.resolve()}", f"file:{wanted.include.resolve().name}"
        if place in data:
            data[name] = data.pop(place)
            suite = _included(suite, name)
    locator.save()
    return {
        model: answered_by(remote[model], suite, data)
        if model in remote
        else Evaluate(
            model=sources[model],
            suite=suite,
            data=data,
            template=template,
            onto=bases[model],
        )
        for model in models
    }


def _base(source: Source, locator: Locator, onto: str | None) -> Source | None:
    """What an adapter stands on, which is part of what is measured; None for whole weights."""
    folder = source.place
    if folder is None and source.uri.startswith(PREFIX):
        folder = snapshot(source.uri, (ADAPTER_CONFIG,), revision=source.revision)
    if folder is None or not is_adapter(folder):
        return None
    return locator.source(spec_of(onto or named_base(folder)), "model")


def endpoint(model: str, key: str) -> EndpointSpec | None:
    """The endpoint that `https://host/v1#model` names; None for any other kind of name.

    Raises:
        BadUsage: it does not say which model.
    """
    if not model.startswith(("http://", "https://")):
        return None
    url, _, name = model.partition("#")
    if not name:
        raise BadUsage(f"{model} does not say which model; write {url}#NAME, as it is called there")
    return EndpointSpec(url=url, model=name, key=key)
