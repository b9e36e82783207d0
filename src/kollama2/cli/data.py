"""`kollama2 data`: look at training data before it costs anything."""

from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import JsonOption, out, print_json

app = typer.Typer(help="Look at training data.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at training data."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="File or folder of training data.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Model folder whose tokenizer counts; the miniature's by default."),
    ] = None,
    template: Annotated[str, typer.Option(help="Chat template of the example.")] = "llama2",
    form: Annotated[str | None, typer.Option(help="Data form, when it is not detected.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show format, counts, Hangul share, duplicates, lengths and one example with its loss mask."""
    from kollama2.data.check import check as examine
    from kollama2.data.check import render
    from kollama2.miniature import base

    result = examine(file, tokenizer or base.FOLDER, template=template, form=form)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        render(result, out())
