"""`kollama2 export`: a model in the form that another program reads."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    OntoOption,
    StoreOption,
    out,
    print_json,
    talk,
)
from kollama2.locale import say


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, GGUF file, hf: id, study (its recommended recipe) or STUDY:RECIPE."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to create.")],
    to: Annotated[
        str,
        typer.Option(
            help="Form: hf (transformers, vLLM), adapter (not merged), meta (consolidated.NN.pth), "
            "gguf (llama.cpp) or ollama (GGUF and Modelfile)."
        ),
    ] = "hf",
    kind: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Data type of a GGUF: F32, F16 (default), BF16, Q8_0, Q4_0; with the extra "
            "kquants also Q4_K_M, Q5_K_M, Q6_K.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Number of files to write with --to meta (default: 1)."),
    ] = None,
    onto: OntoOption = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI=LICENCE",
            help="Licence of a base or data set that has none: hf:me/data=cc-by-4.0. Repeatable.",
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Publish the folder on the hub, with your token."),
    ] = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a model in the form that another program reads, with a model card.

    The export is compared with what was trained before the folder gets its name.
    """
    from kollama2.api.compute import Event
    from kollama2.api.export import export as write
    from kollama2.errors import BadUsage

    licences = dict[str, str]()
    for one in licence or []:
        uri, equals, name = one.rpartition("=")
        if not equals or not uri or not name:
            raise BadUsage(
                say(
                    "--licence is {given!r}; give URI=LICENCE, such as hf:me/data=cc-by-4.0",
                    given=one,
                )
            )
        licences[uri] = name

    def told(event: Event) -> None:
        talk().print(event.figures["message"], markup=False)

    found = write(
        model,
        output,
        to=to,
        kind=kind,
        shards=shards,
        onto=onto,
        licences=licences,
        push=push,
        store=store,
        mirrors=mirrors,
        progress=told,
    )
    if as_json:
        print_json({"folder": str(output), "name": found.name, "hub": found.hub, **found.figures})
        return
    place = say("{name} is in {place}", name=found.name, place=output.resolve())
    out().print(place, markup=False, soft_wrap=True)
    for command in _next(found.folder, found.name, to):
        out().print(f"  {command}", markup=False, soft_wrap=True)
    if found.hub:
        out().print(say("published: {place}", place=found.hub), markup=False)


def _next(folder: Path, name: str, to: str) -> list[str]:
    """What to do with the new folder."""
    place = shlex.quote(str(folder))
    if to == "ollama":
        created = shlex.quote(name.lower())
        return [f"cd {place} && ollama create {created} -f Modelfile && ollama run {created}"]
    if to == "gguf":
        (file,) = folder.glob("*.gguf")
        return [f"llama-server -m {shlex.quote(str(file))}"]
    if to == "hf":
        from kollama2.cli.model import next_steps

        return [*next_steps(folder), f"vllm serve {place}"]
    return []
