"""`kollama2 data`: look at training data before it costs anything, and clean a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import (
    STORE,
    ColumnsOption,
    JsonOption,
    MirrorsOption,
    StoreOption,
    out,
    print_json,
    talk,
)
from kollama2.locale import say

app = typer.Typer(help="Inspect and clean training data.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Inspect and clean training data."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="File or folder of training data.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Model folder whose tokenizer to use (default: the miniature's)."),
    ] = None,
    template: Annotated[str, typer.Option(help="Chat template; `own` is the model's.")] = "own",
    form: Annotated[str | None, typer.Option(help="Form of the data, if detection fails.")] = None,
    columns: ColumnsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a file of training data holds.

    It prints the format, counts, share of Hangul, duplicates, lengths, and an example with its loss
    mask.
    """
    from kollama2.data.check import check as examine
    from kollama2.data.check import render
    from kollama2.data.forms import columns_of
    from kollama2.miniature import base

    result = examine(
        file,
        tokenizer or base.FOLDER,
        template=template,
        form=form,
        columns=columns_of(columns) if columns else None,
    )
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        render(result, out())


@app.command()
def stats(
    files: Annotated[list[Path], typer.Argument(help="Files or folders of text.")],
    as_json: JsonOption = False,
) -> None:
    """Show the share of each language and of Hangul in a corpus."""
    from kollama2.cli.clean import render_languages
    from kollama2.data.languages import languages

    found = [languages(file) for file in files]
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        render_languages(found, out())


@app.command()
def clean(
    sources: Annotated[list[Path], typer.Argument(help="Files or folders of running text.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the corpus.")],
    min_hangul: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum share of Hangul among letters.")
    ] = 0.3,
    min_characters: Annotated[int, typer.Option(min=1, help="Minimum length of a document.")] = 50,
    near_duplicates: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Similarity at which a document counts as a copy; 1 keeps near-duplicates.",
        ),
    ] = 0.8,
    suite: Annotated[
        list[str] | None,
        typer.Option(help="Suite whose texts no document may contain. Repeatable."),
    ] = None,
    columns: ColumnsOption = None,
    mask: Annotated[
        bool, typer.Option(help="Mask e-mail addresses, phone and resident registration numbers.")
    ] = True,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clean a corpus.

    Text is normalised to NFC, boilerplate removed and personal data masked. Documents are rejected
    if they are short, not Korean, copies of others, or contain items of a suite.
    """
    from kollama2.cli.clean import held_out, render_cleaned
    from kollama2.data.clean import clean as clean_corpus
    from kollama2.data.forms import columns_of
    from kollama2.data.tidy import Rules

    console = talk()
    with console.status(say("cleaning")) as shown:
        result = clean_corpus(
            sources,
            output,
            columns=columns_of(columns) if columns else None,
            rules=Rules(min_hangul=min_hangul, min_characters=min_characters, mask=mask),
            near_duplicates=near_duplicates if near_duplicates < 1 else None,
            held_out=held_out(suite, store, mirrors) if suite else None,
            progress=lambda done, kept: shown.update(
                say("{done:document}, {kept} kept", done=done, kept=kept)
            ),
        )
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        render_cleaned(result, output, out())
