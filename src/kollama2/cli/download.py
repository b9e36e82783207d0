"""`kollama2 download`: Llama 2 by the link of Meta's e-mail, or from the Hugging Face hub."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kollama2.cli.console import talk
from kollama2.locale import say

if TYPE_CHECKING:
    from kollama2.llama.fetch import Heard

LINK = "LLAMA2_URL"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(download)


def download(
    models: Annotated[
        str | None,
        typer.Option(help="Some of 7B,13B,70B,7B-chat,13B-chat,70B-chat; asked for if omitted."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to download to.")] = Path(),
    source: Annotated[
        str,
        typer.Option(
            "--from", help="Source: meta (by the link in its e-mail) or hub (with HF_TOKEN)."
        ),
    ] = "meta",
) -> None:
    """Download Llama 2 from Meta or from the Hugging Face hub.

    Meta's link comes by e-mail: it is read from LLAMA2_URL, or asked for if that is not set.
    """
    from kollama2.errors import BadUsage
    from kollama2.llama import download as meta

    if source not in ("meta", "hub"):
        raise BadUsage(say("--from is {given!r}; use meta or hub", given=source))
    link = ""
    if source == "meta":
        # Never an option: the list of processes would show the signature.
        link = os.environ.get(LINK) or _asked(meta.ASK_URL)
    chosen = meta.chosen(_asked(meta.ASK_MODELS) if models is None else models)
    if source == "hub":
        from kollama2.engine.hub import PREFIX, snapshot

        folders = [output / f"{meta.folder_name(model)}-hf" for model in chosen]
        for model, folder in zip(chosen, folders, strict=True):
            snapshot(PREFIX + meta.hub_id(model), target=folder)
    else:
        with _progress() as heard:
            folders = meta.download(link, chosen, output, heard)
    for folder in folders:
        print(folder)


def _asked(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


@contextmanager
def _progress() -> Iterator["Heard"]:
    """A bar for each file on a terminal, one line for each file otherwise."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = talk()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks = dict[str, TaskID]()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def heard(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
                if not console.is_terminal:
                    console.print(say("downloading {name}", name=name))
            progress.update(tasks[name], completed=done, total=total)

        yield heard
