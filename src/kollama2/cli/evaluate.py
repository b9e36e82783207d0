"""The commands that measure models: evaluate and compare."""

from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    OntoOption,
    ProfileOption,
    StoreOption,
    show,
    talk,
)

SuiteOption = Annotated[
    str | None, typer.Option(help="Name or YAML file of a suite; `quick` by default.")
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--task", help="An lm-eval task, instead of a suite. Repeatable."),
]
IncludeOption = Annotated[
    Path | None, typer.Option(help="Folder of your own lm-eval task files; all of them run.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this task of the suite; the suite id changes. Repeatable."),
]
FewshotOption = Annotated[
    int | None,
    typer.Option(min=0, help="Few-shot examples before each item, with --task or --include."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first items of each task; the suite id changes.")
]
TemplateOption = Annotated[
    str | None, typer.Option(help="Chat template for all models; by default each model's own.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Environment variable with the API key; OPENAI_API_KEY by default."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (evaluate, compare):
        app.command()(command)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, GGUF file, hf: id, builtin:miniature, https://host/v1#model."
        ),
    ],
    suite: SuiteOption = None,
    against: Annotated[
        str | None, typer.Option(help="Base model; prints paired differences from it.")
    ] = None,
    task: TasksOption = None,
    include: IncludeOption = None,
    only: OnlyOption = None,
    num_fewshot: FewshotOption = None,
    limit: LimitOption = None,
    template: TemplateOption = None,
    onto: OntoOption = None,
    key: KeyOption = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score one model on a suite or on lm-eval tasks. Per-item records stay in the store."""
    from kollama2.api.evaluate import evaluate as measured
    from kollama2.cli.display import Display

    if against is not None:
        compare(
            [against, model], suite, against, task, include, only, num_fewshot, limit, template,
            onto, key, store, mirrors, profile, as_json,
        )  # fmt: skip
        return
    with Display(talk()) as display:
        found = measured(
            model,
            suite,
            tasks=task or (),
            include=include,
            only=only or (),
            num_fewshot=num_fewshot,
            limit=limit,
            template=template,
            onto=onto,
            key=key,
            store=store,
            mirrors=mirrors,
            profile=profile,
            progress=display,
        )
    show(found, as_json=as_json)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models, the base first: as in `evaluate`, or folders of finished evaluations."
        ),
    ],
    suite: SuiteOption = None,
    base: Annotated[
        str | None, typer.Option(help="Model to compare the others with, if not the first.")
    ] = None,
    task: TasksOption = None,
    include: IncludeOption = None,
    only: OnlyOption = None,
    num_fewshot: FewshotOption = None,
    limit: LimitOption = None,
    template: TemplateOption = None,
    onto: OntoOption = None,
    key: KeyOption = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on one suite.

    Shows paired differences, tiers, and what could not be told apart.
    """
    from kollama2.api.evaluate import compare as compared
    from kollama2.cli.display import Display

    with Display(talk()) as display:
        found = compared(
            models,
            suite,
            base=base,
            tasks=task or (),
            include=include,
            only=only or (),
            num_fewshot=num_fewshot,
            limit=limit,
            template=template,
            onto=onto,
            key=key,
            store=store,
            mirrors=mirrors,
            profile=profile,
            progress=display,
        )
    show(found, as_json=as_json)
