"""The commands of a model: recipes, adapt, convert."""

import shlex
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from kollama2.cli.console import (
    STORE,
    ColumnsOption,
    JsonOption,
    MirrorsOption,
    OntoOption,
    ProfileOption,
    StoreOption,
    out,
    print_json,
    talk,
)
from kollama2.locale import say

ModelArgument = Annotated[
    str, typer.Argument(help="Model folder, GGUF file, hf: id or builtin:miniature.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (recipes, adapt, convert):
        app.command()(command)


def recipes(
    name: Annotated[str | None, typer.Argument(help="Recipe to explain.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the named recipes, or explain one and where its numbers come from."""
    from kollama2.cli.recipes import explain, listing
    from kollama2.study import recipes as known

    if name is None:
        found = [known.load(one) for one in known.names()]
        if as_json:
            print_json([recipe.model_dump(mode="json") for recipe in found])
        else:
            out().print(listing(found))
    else:
        recipe = known.load(name)
        if as_json:
            print_json(recipe.model_dump(mode="json"))
        else:
            out().print(explain(recipe))


def adapt(
    base: ModelArgument,
    recipe: Annotated[str, typer.Option(help="Name of a recipe (see `kollama2 recipes`).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the new model.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Training file; NAME=FILE if the recipe has several sources. Repeatable."
        ),
    ] = None,
    columns: ColumnsOption = None,
    miniature: Annotated[
        bool, typer.Option("--miniature", help="Use the recipe's settings for tiny models.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Setting of the recipe to override: lr=1e-4, max_length=512, rank=16, epochs=1, "
            "dtype=bfloat16; 2.lr=1e-4 for its second step only. Repeatable.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only this many rows of each source.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for training.")] = 0,
    template: Annotated[
        str | None,
        typer.Option(
            help="Chat template: a name, or `own` for the base's (default: the recipe's)."
        ),
    ] = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
) -> None:
    """Adapt a base model with a named recipe.

    The result is a Hugging Face folder that any tool for safetensors can use.
    """
    from kollama2.api.adapt import adapt as compute
    from kollama2.cli.display import Display
    from kollama2.data.forms import columns_of
    from kollama2.errors import BadUsage
    from kollama2.study.given import pair

    changes = dict(map(pair, setting or []))
    if options := signature(compute).parameters.keys() & changes:
        raise BadUsage(
            say("--set {name}: that is no setting of a recipe but an option", name=min(options))
        )
    with Display(talk()) as display:
        compute(
            base,
            recipe,
            data,
            output,
            columns=columns_of(columns) if columns else None,
            miniature=miniature,
            limit=limit,
            seed=seed,
            template=template,
            store=store,
            mirrors=mirrors,
            profile=profile,
            progress=display,
            **changes,
        )
    place = output.resolve()
    out().print(say("the model is in {place}, a Hugging Face folder", place=place), markup=False)
    for command in next_steps(output):
        out().print(f"  {command}", markup=False, soft_wrap=True)


def next_steps(output: Path) -> list[str]:
    """Commands to talk to a new model, to measure it and to take it away, where it can go."""
    from kollama2.errors import Fault
    from kollama2.llama.convert import check_meta
    from kollama2.model.folder import ModelFolder

    name = shlex.quote(str(output))
    spoken = ModelFolder.read(output).template not in (None, "plain")
    steps = [
        f"kollama2 chat {name}" if spoken else f'kollama2 complete {name} --raw "안녕하세요"',
        f"kollama2 evaluate {name} --suite quick",
    ]
    try:
        check_meta(output)
    except Fault:  # it has nowhere else to go
        return steps
    return [*steps, f"kollama2 convert {name} --to meta -o {shlex.quote(f'{output}-meta')}"]


def convert(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Meta's folder, Hugging Face folder (pickled too), adapter, GGUF file or hf: id."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    tokenizer: Annotated[
        Path | None, typer.Option(help="Meta's tokenizer.model, if it is not in the folder.")
    ] = None,
    to: Annotated[
        str, typer.Option(help="Format to write: hf, or meta (consolidated.NN.pth files).")
    ] = "hf",
    shards: Annotated[
        int, typer.Option(min=1, help="Number of files to write with --to meta.")
    ] = 1,
    onto: OntoOption = None,
    mirrors: MirrorsOption = None,
) -> None:
    """Convert checkpoints and adapters to Hugging Face folders.

    Meta's, GGUF and pickled checkpoints can be read; --to meta writes Meta's form.
    """
    from kollama2.engine.hub import load_mirrors
    from kollama2.errors import BadUsage
    from kollama2.model.find import find_place
    from kollama2.model.folder import is_adapter

    if to not in ("hf", "meta"):
        raise BadUsage(f"--to is {to!r}; it can be hf or meta")
    place = find_place(checkpoint, load_mirrors(mirrors))
    if not place.exists():
        raise BadUsage(say("{place}: there is no such file or folder", place=place))
    if onto is not None or is_adapter(place):
        from kollama2.api.adapt import stand_alone

        if to == "meta" and is_adapter(place):
            raise BadUsage(f"{checkpoint} is an adapter; make a whole model of it first (--to hf)")
        stand_alone(
            checkpoint, output, onto=onto, mirrors=mirrors
        )  # refuses a base for whole weights
        names = {"output": output, "adapter": checkpoint, "base": onto or say("its base")}
        talk().print(say("{output}: {adapter} on {base}, a whole model", **names))
        return
    found = _to_meta(place, output, shards) if to == "meta" else _to_hf(place, output, tokenizer)
    talk().print(say("{output}: {count:parameter}", output=output, count=found["parameters"]))


_GGUF = "{} brings its tokenizer along and becomes hf only"


def _to_meta(place: Path, output: Path, shards: int) -> dict[str, Any]:
    from kollama2.errors import BadUsage
    from kollama2.llama.convert import is_meta, to_meta
    from kollama2.model.gguf.file import is_gguf
    from kollama2.model.pickled import is_pickled

    if not place.is_dir():
        raise BadUsage(_GGUF.format(place) if is_gguf(place) else _no_folder(place))
    if is_pickled(place):
        raise BadUsage(f"{place} holds pickled weights; convert them to hf first")
    if is_meta(place):
        raise BadUsage(f"{place} is in meta form already")
    return to_meta(place, output, shards)


def _to_hf(place: Path, output: Path, tokenizer: Path | None) -> dict[str, Any]:
    from kollama2.api.places import check_new
    from kollama2.engine.commit import committing
    from kollama2.errors import BadUsage
    from kollama2.model.files import CONFIG, PIECES

    if place.is_dir():
        from kollama2.llama.convert import is_meta, to_hugging_face
        from kollama2.model.pickled import from_pickle, is_pickled

        if is_pickled(place):
            check_new(output)
            with committing(output) as partial:
                return from_pickle(place, partial)
        if not is_meta(place):
            raise BadUsage(
                f"{place} is in hf form already"
                if (place / CONFIG).is_file()
                else f"{place} holds neither {CONFIG} nor a checkpoint of Meta's (params.json)"
            )
        beside = place / PIECES
        return to_hugging_face(place, output, tokenizer or (beside if beside.is_file() else None))
    from kollama2.model.gguf.file import is_gguf

    if is_gguf(place):
        from kollama2.model.gguf.convert import to_hugging_face as unpack

        if tokenizer is not None:
            raise BadUsage(_GGUF.format(place))
        return unpack(place, output)
    raise BadUsage(_no_folder(place))


def _no_folder(place: Path) -> str:
    if place.suffix == ".pth":
        return f"{place} is a part of a checkpoint; name its folder"
    return f"{place} is neither a folder nor a GGUF file; name the folder of a checkpoint"
