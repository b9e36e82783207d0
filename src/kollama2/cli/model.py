"""The commands of a model: recipes, adapt, convert."""

from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    OntoOption,
    StoreOption,
    check_new,
    out,
    print_json,
    talk,
)

ModelArgument = Annotated[
    str, typer.Argument(help="Model folder, GGUF file, hf: id or builtin:miniature.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (recipes, adapt, convert):
        app.command()(command)


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe to explain.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the named recipes by family, or explain one with the source of every number."""
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
    recipe: Annotated[str, typer.Option(help="Name of a recipe; see `kollama2 recipes`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the new model.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Training file; NAME=FILE when the recipe has several sources."),
    ] = None,
    miniature: Annotated[
        bool, typer.Option("--miniature", help="Use the recipe's numbers for tiny models.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    template: Annotated[
        str | None,
        typer.Option(help="Chat template: `own` for the base's, or a name; else the recipe's."),
    ] = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: Annotated[Path | None, typer.Option(help="YAML file: the machine's size.")] = None,
) -> None:
    """Make one model: BASE adapted by a named recipe, ready for any tool that reads safetensors."""
    from kollama2.cli.adapt import compute_one, export
    from kollama2.study.adapt import adaptation

    check_new(output)
    made = adaptation(
        base,
        recipe,
        data or [],
        store=store,
        mirrors=mirrors,
        small=miniature,
        seed=seed,
        template=template,
    )
    folder = compute_one(made.stage, store, profile, f"adapt {recipe}")
    export(folder / "model", output)
    out().print(f"the model is in {output}; use it with")
    out().print(f'  kollama2 complete {output} "안녕하세요"')
    out().print(f"  kollama2 evaluate {output} --suite quick")


def convert(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Meta's folder, a Hugging Face folder (pickled too), an adapter, a GGUF file, a "
            "llama2.c .bin, an hf: id."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizer.model of Meta's, tokenizer.bin of llama2.c.")
    ] = None,
    to: Annotated[str, typer.Option(help="hf, or meta for consolidated.NN.pth files.")] = "hf",
    shards: Annotated[int, typer.Option(min=1, help="Files to write with --to meta.")] = 1,
    onto: OntoOption = None,
    mirrors: MirrorsOption = None,
) -> None:
    """Turn Meta's, GGUF, llama2.c's, pickled checkpoints and adapters into Hugging Face folders."""
    from kollama2.engine.hub import load_mirrors
    from kollama2.errors import BadUsage
    from kollama2.model.find import find_model
    from kollama2.model.gguf.file import is_gguf

    if to not in ("hf", "meta"):
        raise BadUsage(f"--to is {to!r}; it can be hf or meta")
    if is_gguf(Path(checkpoint)):
        from kollama2.model.gguf.convert import to_hugging_face as unpack

        if tokenizer is not None or to == "meta":
            raise BadUsage(f"{checkpoint} brings its tokenizer along and becomes hf only")
        result = unpack(Path(checkpoint), output)
        talk().print(f"{output}: {result['parameters']:,} parameters")
        return
    model = find_model(checkpoint, onto, load_mirrors(mirrors))
    folder = model.path
    if model.base is not None:
        from kollama2.cli.adapt import export

        if to == "meta":
            raise BadUsage(f"{checkpoint} is an adapter; make a whole model of it first (--to hf)")
        check_new(output)
        export(folder, output, model.base.path)
        talk().print(f"{output}: {checkpoint} on {onto or 'its base'}, a whole model")
        return
    if folder.is_dir():
        from kollama2.llama.convert import is_meta, to_hugging_face, to_meta
        from kollama2.model.pickled import from_pickle, is_pickled

        if is_pickled(folder):
            if to == "meta":
                raise BadUsage(f"{checkpoint} holds pickled weights; convert them to hf first")
            check_new(output)
            result = from_pickle(folder, output)
            talk().print(f"{output}: {result['parameters']:,} parameters")
            return
        if (to == "meta") == is_meta(folder):
            raise BadUsage(f"{checkpoint} is in {to} form already")
        if to == "meta":
            result = to_meta(folder, output, shards)
        else:
            beside = folder / "tokenizer.model"
            result = to_hugging_face(
                folder, output, tokenizer or (beside if beside.is_file() else None)
            )
    else:
        from kollama2.llama.llama2c import convert as import_checkpoint

        if tokenizer is None or to == "meta":
            raise BadUsage("a llama2.c file needs --tokenizer tokenizer.bin and becomes hf only")
        result = import_checkpoint(folder, tokenizer, output)
    talk().print(f"{output}: {result['parameters']:,} parameters")
