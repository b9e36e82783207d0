"""Cells: recipe x suite x seed, built as stages from the axes of a study."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from pydantic import ValidationError

from kollama2.engine.document import Document, near
from kollama2.engine.graph import closure
from kollama2.engine.stage import Stage
from kollama2.errors import BadUsage
from kollama2.evaluation.suite import Asked, Suite, load_suite
from kollama2.stages import Ask, Contamination, Evaluate, Fresh, Source
from kollama2.study import recipes
from kollama2.study.build import Recipe, build
from kollama2.study.locate import Locator
from kollama2.study.schema import EndpointSpec, RecipeFile, SourceSpec, Study
from kollama2.study.steps import STEPS, Step, TrainStep, keys, parse_step

COMBINATIONS, CELLS = 10_000, 2_000  # that a study may have, so that its plan takes seconds
BASE = "base"
COPY = "base-copy"
SKIPPED = (None, "none")


@dataclass(frozen=True)
class Cell:
    """One recipe with one seed on one suite, as the stage that measures it.

    `check` looks the suite up in the recipe's training data; None where it was not trained.
    """

    recipe: str
    options: Mapping[str, str] = field(hash=False)
    seed: int
    suite: str
    base: bool
    stage: Evaluate | Ask
    check: Contamination | None = None

    @property
    def targets(self) -> tuple[Stage, ...]:
        """All that the cell wants computed."""
        return (self.stage, self.check) if self.check else (self.stage,)

    def closure(self) -> dict[str, Stage]:
        """Those and all stages that they are made of, inputs first, by name."""
        return {name: one for stage in self.targets for name, one in closure(stage).items()}


def cells(study: Study, document: Document, locator: Locator) -> list[Cell]:
    """Every cell of a study, the untouched base first.

    Raises:
        BadUsage: the study names something that does not exist.
    """
    crossed = _crossings(study, document)
    base = locator.source(study.base, "model")
    suites = [resolve_suite(name, locator) for name in study.suites]
    for name, times in Counter(suite.name for suite, _ in suites).items():
        if times > 1:
            what = f"{times} suites call themselves {name!r}; rename all but one"
            raise document.fault(("suites",), what)
    found: list[Cell] = []

    def add(recipe: str, options: Mapping[str, str], seed: int, model: Any, template: str) -> None:
        for suite, data in suites:
            stage = Evaluate(model=model, suite=suite, data=data, template=template)
            check = _check(stage)
            found.append(Cell(recipe, options, seed, suite.name, recipe == BASE, stage, check))

    add(BASE, {}, study.seeds[0], base, study.template)
    if study.controls.copy_of_base:
        copy = locator.source(study.base, "model", alias="copy")
        add(COPY, {}, study.seeds[0], copy, study.template)
    found += _answered(study, suites, document)
    paths = list(_paths(study, crossed, document))
    known = [path.recipe for path in paths]
    for name in study.controls.random:
        if name not in known:
            raise document.fault(
                ("controls", "random"), f"no recipe is called {name!r}; {near(name, known)}"
            )
    for path in paths:
        for seed in study.seeds:
            model = build(path, base, seed, locator, document)
            add(path.recipe, path.options, seed, model, path.template)
            if path.recipe in study.controls.random:
                start = Fresh(model=base, seed=seed)
                model = build(path, start, seed, locator, document)
                add(f"random-{path.recipe}", path.options, seed, model, path.template)
    _check_names(found, document)
    return found


def _check_names(found: Sequence[Cell], document: Document) -> None:
    """Refuse two models of one name, such as an option that is called as the base is."""
    cells = Counter((cell.recipe, cell.seed, cell.suite) for cell in found)
    for (name, _, _), times in cells.items():
        if times > 1:
            what = f"{times} models of this study are called {name!r}; rename all but one"
            raise document.fault((), what)


def _answered(
    study: Study, suites: Sequence[tuple[Suite, dict[str, Source]]], document: Document
) -> Iterator[Cell]:
    """A cell for each endpoint and each suite that has something to answer."""
    asked = [one for one in suites if answerable(one[0])]
    if study.endpoints and not asked:
        raise document.fault(
            ("endpoints",),
            "an endpoint gives answers and no likelihoods, but no suite of this study has a "
            "task that is answered in chat",
        )
    for name, spec in study.endpoints.items():
        for suite, data in asked:
            stage = answered_by(spec, suite, data)
            yield Cell(name, {"endpoint": spec.model}, study.seeds[0], suite.name, False, stage)


def answerable(suite: Suite) -> bool:
    """Whether a model that gives no likelihoods can be asked anything of a suite."""
    return any(isinstance(task, Asked) for task in suite.tasks)


def answered_by(spec: EndpointSpec, suite: Suite, data: dict[str, Source]) -> Ask:
    """The stage that has a model behind an endpoint answer what a suite asks."""
    stage = Ask(
        url=spec.url, model=spec.model, temperature=spec.temperature, suite=suite, data=data
    )
    return stage.with_key(spec.key)


def _check(stage: Evaluate) -> Contamination | None:
    """What looks the suite up in all data that the model was trained on here."""
    sources = {
        one.name: one
        for one in closure(stage.model).values()
        if isinstance(one, Source) and one.what == "data"
    }
    training = tuple(sources[name] for name in sorted(sources))
    if not training:
        return None
    return Contamination(suite=stage.suite, data=stage.data, training=training)


def resolve_suite(name: str, locator: Locator) -> tuple[Suite, dict[str, Source]]:
    """A suite by its name or file, and the pinned source of each uri that it reads.

    Raises:
        BadUsage: no suite has this name, or its data do not exist.
    """
    beside = locator.folder / name
    suite = load_suite(beside if beside.is_file() else name)
    return suite, suite_sources(suite, locator)


def suite_sources(suite: Suite, locator: Locator) -> dict[str, Source]:
    """The pinned source of each uri that a suite reads.

    Raises:
        BadUsage: its data do not exist, or are named by something that is no uri.
        Missing: the hub is out of reach and no mirror serves.
    """
    found = {}
    for uri, revision in suite.pinned().items():
        try:
            spec = SourceSpec(uri=uri, revision=revision)
        except ValidationError as error:
            raise BadUsage(
                f"suite {suite.name} reads {uri!r}, which is no uri; write file:{uri} for a file, "
                "else what begins with builtin:, hf: or github:"
            ) from error
        found[uri] = locator.source(spec, "data")
    return found


def _crossings(study: Study, document: Document) -> list[dict[str, str]]:
    """Every way to choose an option of each axis, without those that are excluded.

    A study that is too large is refused before anything of it is built.
    """
    crossed = math.prod(len(options) for options in study.axes.values())
    if crossed > COMBINATIONS or len(study.exclude) > COMBINATIONS // 10:
        raise document.fault(
            ("axes",),
            f"the axes have {crossed:,} combinations with {len(study.exclude):,} rules of "
            f"exclusion; at most {COMBINATIONS:,} and {COMBINATIONS // 10:,} are read: make "
            "several studies of one store, which share what they have in common",
        )
    every = (dict(zip(study.axes, one, strict=True)) for one in product(*study.axes.values()))
    found = [one for one in every if not any(r.items() <= one.items() for r in study.exclude)]
    recipes = len(found) + len(study.recipes) + len(study.controls.random)
    total = recipes * len(study.seeds) * len(study.suites)
    if total > CELLS:
        raise document.fault(
            ("seeds",),
            f"{recipes:,} recipes x {len(study.seeds):,} seeds x {len(study.suites):,} suites are "
            f"{total:,} cells, and a study has at most {CELLS:,}: make several studies of one "
            "store, which share what they have in common",
        )
    return found


def _paths(study: Study, crossed: Sequence[dict[str, str]], document: Document) -> Iterator[Recipe]:
    for name in study.axes:
        if not study.axes[name]:
            raise document.fault(("axes", name), f"the axis {name!r} has no options")
    for rule in study.exclude:
        for axis, option in rule.items():
            known = study.axes.get(axis)
            if known is None:
                raise document.fault(
                    ("exclude",), f"no axis is called {axis!r}; {near(axis, list(study.axes))}"
                )
            if option not in known:
                raise document.fault(
                    ("exclude",),
                    f"the axis {axis!r} has no option {option!r}; {near(option, list(known))}",
                )
    taken = set[tuple[str, ...]]()
    for options in crossed:
        path = _crossed(study, document, options, taken)
        if path.steps:
            yield path
    _check_taken(study, crossed, taken, document)
    for name in study.recipes:
        yield named(study, name, small=study.base.uri.startswith("builtin:miniature"))


def _check_taken(
    study: Study,
    crossed: Sequence[dict[str, str]],
    taken: Collection[tuple[str, ...]],
    document: Document,
) -> None:
    """Refuse keys of an option that fill no step of any recipe, as where its kind was forgotten."""
    for axis, option in dict.fromkeys(one for options in crossed for one in options.items()):
        fields = study.axes[axis][option]
        for key in fields if isinstance(fields, dict) and "kind" not in fields else ():
            if (place := ("axes", axis, option, key)) not in taken:
                what = f"no step after this option takes {key!r} from it; an option with a `kind`"
                raise document.fault(place, f"{what} is a step, one without fills those after it")


def _crossed(
    study: Study, document: Document, options: dict[str, str], taken: set[tuple[str, ...]]
) -> Recipe:
    """One combination of options; an option without `kind` fills the steps after it.

    `taken` gains the place of each key that filled a step.
    """
    shared: dict[str, tuple[Any, tuple[str, ...]]] = {}
    steps: list[Step] = []
    for axis, option in options.items():
        fields = study.axes[axis][option]
        if fields is None or isinstance(fields, str):
            continue
        place = ("axes", axis, option)
        if "kind" not in fields:
            every = sorted({key for step in STEPS.values() for key in keys(step)})
            for key, value in fields.items():
                if key not in every:
                    raise document.fault((*place, key), f"unknown key {key!r}; {near(key, every)}")
                shared[key] = value, (*place, key)
            continue
        step = STEPS.get(str(fields["kind"]))
        known = keys(step) if step else ()
        fitting = {k: one for k, one in shared.items() if k in known and k not in fields}
        filled = {key: where for key, (_, where) in fitting.items()}
        taken.update(filled.values())
        whole = {key: value for key, (value, _) in fitting.items()} | fields
        steps.append(parse_step(whole, study.budget, document, place, filled))
    named = [o for a, o in options.items() if study.axes[a][o] not in SKIPPED]
    trained = [step for step in reversed(steps) if isinstance(step, TrainStep)]
    template = next((s.template for s in trained if s.template), study.template)
    return Recipe("-".join(named), options, tuple(steps), study.sources, template)


def named(
    study: Study, name: str, *, small: bool, changes: Sequence[Mapping[str, Any]] = ()
) -> Recipe:
    """A named recipe on the study's base.

    Args:
        study: gives the budget, and sources that replace the recipe's own of the same name.
        name: the recipe.
        small: use the numbers of the recipe's twin at the size of the miniature.
        changes: keys that replace those of each step.

    Raises:
        BadUsage: no recipe has this name, or the study does not fit it.
    """
    document = recipes.document(name)
    recipe = document.read(RecipeFile)
    overrides = recipe.miniature.steps if small else ()
    sources = {**recipe.sources, **(recipe.miniature.sources if small else {}), **study.sources}
    steps = []
    for index, fields in enumerate(recipe.steps):
        merged = dict(fields)
        for more in (overrides, changes):
            merged |= more[index] if index < len(more) else {}
        steps.append(parse_step(merged, study.budget, document, ("steps", index)))
    return Recipe(name, {"recipe": name}, tuple(steps), sources, recipe.template)
