"""The commands that measure models: evaluate and compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    OntoOption,
    ProfileOption,
    StoreOption,
    show,
    spread,
    talk,
)


@dataclass(frozen=True)
class Measuring:
    """On what models are measured, and how: the options that both commands share."""

    suite: Annotated[
        str | None, typer.Option(help="Name or YAML file of a suite (default: quick).")
    ] = None
    task: Annotated[
        list[str] | None, typer.Option(help="lm-eval task to run instead of a suite. Repeatable.")
    ] = None
    include: Annotated[
        Path | None,
        typer.Option(
            help="Folder of your own lm-eval task files; all are run unless --task names some."
        ),
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this task of the suite; the suite id changes. Repeatable."),
    ] = None
    num_fewshot: Annotated[
        int | None,
        typer.Option(min=0, help="Number of few-shot examples, with --task or --include."),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Run only the first items of each task; the suite id changes."),
    ] = None
    template: Annotated[
        str | None, typer.Option(help="Chat template for all models (default: each model's own).")
    ] = None
    onto: OntoOption = None
    key: Annotated[
        str | None,
        typer.Option(help="Environment variable with the API key (default: OPENAI_API_KEY)."),
    ] = None
    store: StoreOption = STORE
    mirrors: MirrorsOption = None
    profile: ProfileOption = None

    def arguments(self) -> dict[str, Any]:
        """The same as arguments of the API's functions."""
        named = {**vars(self), "tasks": self.task or (), "only": self.only or ()}
        del named["task"]
        return named


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (evaluate, compare):
        app.command()(command)


@spread
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, GGUF file, hf: id, builtin:miniature, https://host/v1#model."
        ),
    ],
    *,
    against: Annotated[
        str | None, typer.Option(help="Base model to compare with, by paired differences.")
    ] = None,
    how: Measuring,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a suite or on lm-eval tasks.

    The records of all items are kept in the store.
    """
    from kollama2.api.evaluate import evaluate as measured
    from kollama2.cli.display import Display

    if against is not None:
        compare([against, model], base=against, **vars(how), as_json=as_json)
        return
    with Display(talk()) as display:
        found = measured(model, **how.arguments(), progress=display)
    show(found, as_json=as_json)


@spread
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models, the base first: as in `evaluate`, or folders of finished evaluations."
        ),
    ],
    *,
    base: Annotated[
        str | None, typer.Option(help="Model to compare the others with, if not the first.")
    ] = None,
    how: Measuring,
    as_json: JsonOption = False,
) -> None:
    """Compare models on one suite.

    The tables show paired differences, tiers, and which models cannot be told apart.
    """
    from kollama2.api.evaluate import compare as compared
    from kollama2.cli.display import Display

    with Display(talk()) as display:
        found = compared(models, **how.arguments(), base=base, progress=display)
    show(found, as_json=as_json)
