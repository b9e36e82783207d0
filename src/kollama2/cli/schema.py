"""`kollama2 schema`: what an editor needs to complete and check the files that one writes."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer


def schema(
    kind: Annotated[
        Literal["study", "suite", "profile", "recipe"],
        typer.Argument(help="Kind of file."),
    ] = "study",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write (default: standard output).")
    ] = None,
) -> None:
    """Write the JSON Schema of a study, suite, profile or recipe, for editors.

    An editor with a YAML language server then completes keys and shows what each means.
    """
    from kollama2.errors import storage
    from kollama2.study.json_schema import json_schema

    text = json.dumps(json_schema(kind), ensure_ascii=False, indent=2)
    if out is None:
        print(text)
        return
    with storage(out):
        out.write_text(text + "\n", encoding="utf-8")
