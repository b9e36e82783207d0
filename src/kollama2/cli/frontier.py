"""`kollama2 frontier`: what can be had from models at hand without any training."""

from pathlib import Path
from typing import Annotated

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    ProfileOption,
    StoreOption,
    show,
    talk,
)
from kollama2.locale import say


def frontier(
    base: Annotated[str, typer.Option(help="Base model from which all the others were made.")],
    korean: Annotated[str, typer.Option(help="Base model after Korean pre-training.")],
    chat: Annotated[str | None, typer.Option(help="Chat model made from the base.")] = None,
    instruct: Annotated[
        str | None, typer.Option(help="Korean model after instruction tuning.")
    ] = None,
    suite: Annotated[str, typer.Option(help="Name or YAML file of a suite.")] = "quick",
    template: Annotated[str, typer.Option(help="Chat template for the merged models.")] = "own",
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Plot Korean gain against English loss to FILE.svg, .png or .html."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate every merge of models and mark the best trade-offs.

    A merge is marked if no other beats it in both languages. The relative gap between the models is
    printed first: beyond a few per cent, their differences do not transfer.
    """
    from kollama2.api.frontier import frontier as measured
    from kollama2.api.pareto import check
    from kollama2.cli.display import Display

    if plot is not None:
        check(plot)
    with Display(talk()) as display:
        found = measured(
            base,
            korean,
            chat=chat,
            instruct=instruct,
            suite=suite,
            template=template,
            store=store,
            mirrors=mirrors,
            profile=profile,
            progress=display,
        )
    if plot is not None:
        found.draw(plot)
        talk().print(say("{file}: Korean gain against English loss", file=plot))
    show(found, as_json=as_json)
