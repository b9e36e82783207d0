"""Adapt: one base, one named recipe, one model; the same stages as in a study."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kollama2.data.forms import form_of
from kollama2.engine.arithmetic import Dtype, fast_dtype
from kollama2.engine.document import near
from kollama2.engine.graph import closure
from kollama2.engine.hub import load_mirrors
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.model.templates import check_template
from kollama2.stages import ModelStage, Prefer, Probe, Train
from kollama2.study import recipes
from kollama2.study.build import build
from kollama2.study.cells import named
from kollama2.study.given import settings
from kollama2.study.locate import Locator
from kollama2.study.merges import check_merges
from kollama2.study.schema import RecipeFile, SourceSpec, Study
from kollama2.study.steps import MergeStep, PreferStep, Step, TrainStep

SCHEMES = ("builtin:", "hf:", "file:")


def adaptation(
    base: str,
    recipe: str,
    data: list[str],
    *,
    columns: Mapping[str, str] | None = None,
    store: Path,
    mirrors: Path | None = None,
    small: bool = False,
    seed: int = 0,
    template: str | None = None,
    given: Sequence[str] = (),
    limit: int | None = None,
    device: str = "auto",
) -> ModelStage:
    """The stage that makes one model; arguments as those of `kollama2.adapt`, but for these.

    `data` are `FILE` for the recipe's only source or `NAME=FILE`, `given` the settings as
    `NAME=VALUE` (see `given.settings`), and `small` asks for the recipe's miniature twin. A dtype
    of bfloat16 that nobody gave is `auto`: what the machine computes fast, with `device` as the
    profile says. The stages hold the one that was found, so the key says what was computed.

    Raises:
        BadUsage: something named does not exist or does not fit the recipe.
    """
    form_of(None, columns)  # a role that there is not fails here, not in a worker
    if columns and len(data) != 1:
        raise BadUsage(
            f"columns name those of one data file, and there are {len(data)}; give one file, or a "
            "study, where each source has its own columns"
        )
    document = recipes.document(recipe)
    named_there = document.read(RecipeFile)
    spec = spec_of(base)
    small = small or spec.uri.startswith("builtin:miniature")
    sources = {**named_there.sources, **(named_there.miniature.sources if small else {})}
    known = [name for name, one in sources.items() if not one.uri.startswith("made:")]
    study = Study(
        name=f"adapt-{recipe}",
        base=spec,
        sources=dict(_replaced(text, known, columns) for text in data),
        recipes=(recipe,),
        suites=("quick",),
    )
    locator = Locator(Path.cwd(), load_mirrors(mirrors), store / "hashes.json")
    fast = fast_dtype(device)
    changes = settings(given, [str(one["kind"]) for one in named_there.steps], fast)
    path = named(study, recipe, small=small, changes=changes)
    steps = tuple(
        step if "dtype" in change else _fast(step, fast)
        for step, change in zip(path.steps, changes, strict=True)
    )
    if limit is not None and any(isinstance(step, PreferStep) for step in steps):
        raise BadUsage(f"limit counts rows of chats and text, and {recipe} learns preferences")
    path = replace(path, steps=steps, limit=limit)
    if template is not None:
        check_template(template)
        path = replace(path, template=template)
    stage = build(path, locator.source(spec, "model"), seed, locator, document)
    locator.save()
    check_merges([stage], Store(store))
    return stage


def arithmetic(model: ModelStage) -> list[str]:
    """The dtypes of the trainings that a model is made by."""
    trainings = (one for one in closure(model).values() if isinstance(one, Train | Probe | Prefer))
    return list(dict.fromkeys(one.settings.dtype for one in trainings))


def _fast(step: Step, dtype: Dtype) -> Step:
    """The same step without bfloat16 where that is slow; what asks for float32 keeps it."""
    if isinstance(step, MergeStep):
        others = (
            one if isinstance(one, str) else tuple(_fast(inner, dtype) for inner in one)
            for one in step.others
        )
        return step.model_copy(update={"with_": tuple(others)})
    if isinstance(step, TrainStep | PreferStep) and step.dtype == "bfloat16":
        return step.model_copy(update={"dtype": dtype})
    return step


def _replaced(
    text: str, known: list[str], columns: Mapping[str, str] | None
) -> tuple[str, SourceSpec]:
    name, equals, file = text.rpartition("=")
    if not equals:
        if len(known) != 1:
            raise BadUsage(
                f"this recipe learns from {', '.join(known)}; say which one {text!r} replaces, "
                f"e.g. --data {known[0]}={text}"
            )
        name = known[0]
    if name not in known:
        raise BadUsage(f"this recipe has no source {name!r}; {near(name, known)}")
    return name, spec_of(file, columns)


def spec_of(place: str, columns: Mapping[str, str] | None = None) -> SourceSpec:
    """A uri, or the path of a file or folder, with the roles of its columns."""
    if not place:
        raise BadUsage("a name of a model or of data is empty; name a folder, a file or an hf: id")
    uri = place if place.startswith(SCHEMES) else f"file:{place}"
    return SourceSpec(uri=uri, columns=dict(columns or {}))
