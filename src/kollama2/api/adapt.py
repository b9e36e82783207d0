"""Adapt: one model by one recipe, as a folder that stands alone."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from kollama2.api.checked import AtLeast0, AtLeast1, checked
from kollama2.api.compute import Progress, compute, machine, note, silent, under
from kollama2.api.places import check_new, mirrors_at, store_at
from kollama2.api.plan import cost_line, cost_of
from kollama2.engine.commit import committing
from kollama2.engine.graph import closure, plan
from kollama2.engine.hub import load_mirrors
from kollama2.engine.profile import Profile, Resources
from kollama2.engine.provenance import gpu_names
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadData, BadUsage
from kollama2.exporting.origin import readme_licence
from kollama2.locale import say
from kollama2.model.card import Used, read_card, write_card
from kollama2.model.files import CONFIG
from kollama2.model.find import find_model
from kollama2.model.folder import ModelFolder
from kollama2.stages import Encode, ModelStage, Source
from kollama2.stages.source import content
from kollama2.study.adapt import adaptation, arithmetic
from kollama2.study.sample import sampled

SMALL = {"micro_batch_tokens": 1024}
"""On a CPU, where a larger one takes more memory and is no faster."""


@checked
def adapt(
    base: str | Path | ModelFolder,
    recipe: str,
    data: str | Path | Sequence[str] | Mapping[str, str | Path] | None,
    out: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    miniature: bool = False,
    limit: AtLeast1 | None = None,
    seed: AtLeast0 = 0,
    template: str | None = None,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
    progress: Progress | None = None,
    **changes: object,
) -> ModelFolder:
    """Adapt a base model with a named recipe.

    Args:
        base: model folder, GGUF file, `hf:` id or `builtin:miniature`.
        recipe: name of a recipe.
        data: file that takes the place of the recipe's source; where it has several, a file by the
            name of each, or `NAME=FILE` texts; None: the recipe's own.
        out: folder for the model; it must be new or empty.
        columns: which column of the one file plays which role, such as `{"output": "reply"}`.
        miniature: use the recipe's settings for tiny models, which `builtin:miniature` always gets.
        limit: rows of each source that are used, its first; None: all.
        seed: of the training.
        template: chat template: a name, or `own` for the base's; None: the recipe's.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: all cores that are idle.
        progress: called with each event, in this thread; None: nothing is told.
        **changes: settings in the place of the recipe's: `lr=1e-4`, `epochs=1`, `rank=16`; with
            `**{"2.lr": 1e-4}` of its second step only.

    Returns:
        The model: a Hugging Face folder that any tool can use that reads safetensors.

    Raises:
        Fault: something that is named does not exist or does not fit, `out` cannot be written, or
            a stage failed. What was computed stays, and the same call continues.
    """
    output, place, tell = Path(out), store_at(store), progress or silent
    check_new(output)
    size = machine(profile) if profile else idle()
    made = adaptation(
        named(base),
        recipe,
        _files(data),
        columns=columns,
        store=place,
        mirrors=mirrors_at(mirrors),
        small=miniature,
        seed=seed,
        template=template,
        given=[f"{name}={_text(value)}" for name, value in changes.items()],
        limit=limit,
        device=size.default.device,
    )
    folder = _train(made, place, size, f"adapt {recipe}", tell)
    return stand_alone(folder / "model", output, made_of=_made_of(made, Store(place)))


def _made_of(stage: Stage, store: Store) -> tuple[Used, ...]:
    """The bases of a stage, or what they were made of themselves, and its data."""
    found = list[Used]()
    for one in closure(stage).values():
        if isinstance(one, Source):
            place = content(store.path(one))
            before = read_card(place).made_of if one.what == "model" else ()
            licence = readme_licence(place) or ""
            pinned = one.revision or one.sha256 or ""
            found += before or [Used(what=one.what, uri=one.uri, pinned=pinned, licence=licence)]
    return tuple(dict.fromkeys(sorted(found, key=lambda used: used.what, reverse=True)))


def stand_alone(
    model: str | Path,
    out: Path,
    *,
    onto: str | Path | None = None,
    mirrors: str | Path | None = None,
    made_of: tuple[Used, ...] = (),
) -> ModelFolder:
    """Merge an adapter onto its base or another, or copy whole weights; nothing is compared.

    The card says what it was made of, where that is given.

    Raises:
        Fault: `model` is no model folder, `onto` is given for whole weights, or `out` holds
            something or cannot be written.
    """
    found = find_model(str(model), onto, load_mirrors(mirrors_at(mirrors)))
    if not (found.root.path / CONFIG).is_file():
        raise BadData(f"{found.root.path} is no model folder: it holds no {CONFIG}")
    check_new(out)
    with committing(out) as partial:
        if found.base is None:
            shutil.copytree(found.path, partial, dirs_exist_ok=True)
        else:
            from kollama2.model.write import merge  # it needs torch

            merge(found.path, partial, found.base.path)
        if made_of:
            write_card(partial, read_card(partial).changed(made_of=made_of))
    return ModelFolder.read(out)


def named(model: str | Path | ModelFolder) -> str:
    """The name of a model, as the command line takes it."""
    return str(model.path if isinstance(model, ModelFolder) else model)


def _files(data: str | Path | Sequence[str] | Mapping[str, str | Path] | None) -> list[str]:
    if isinstance(data, Mapping):
        return [f"{name}={file}" for name, file in data.items()]
    return [str(data)] if isinstance(data, str | Path) else list(data or ())


def _text(value: object) -> str:
    """A setting's value as `--set` takes it, in YAML, of which JSON is a part."""
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except TypeError as error:
        raise BadUsage(f"{value!r} can be no setting; give a number, a text or a list") from error


def idle() -> Profile:
    """All cores that are idle now for one stage at a time.

    Threads that wait for each other on busy cores are many times slower than one.
    """
    cores = psutil.cpu_count(logical=False) or 1
    free = cores - round(psutil.getloadavg()[0])
    found = Resources(threads=max(1, free), **({} if gpu_names() else SMALL))
    return Profile(jobs=1, default=found)


def _train(made: ModelStage, store: Path, size: Profile, label: str, tell: Progress) -> Path:
    """Compute a model, having told what it will cost; returns its folder.

    The sources come first: what they hold is counted by the base's own tokenizer.
    """
    kept = Store(store)
    sources = [one for one in closure(made).values() if isinstance(one, Source)]
    compute(sources, store, size, under(label), tell)
    left = plan([made], kept)
    note(tell, cost_line(cost_of(left, kept, size)))
    for one in left.todo:
        if isinstance(one, Encode) and (found := sampled(one, kept)) and found["cut"]:
            note(
                tell,
                say(
                    "about {share:.0%} of the rows are longer than max_length ({most}) and will be "
                    "cut; the setting max_length=… takes another",
                    share=found["cut"] / found["rows"],
                    most=str(one.max_length),
                ),
            )
    if dtypes := arithmetic(made):
        used = ", ".join(dtypes)
        note(tell, say("arithmetic: {dtypes}; the setting dtype=… takes another", dtypes=used))
    return compute([made], store, size, under(label), tell)[0]
