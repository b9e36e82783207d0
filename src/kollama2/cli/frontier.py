"""`kollama2 frontier`: what can be had from models at hand without any training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    StoreOption,
    out,
    print_json,
    talk,
)


def frontier(
    base: Annotated[str, typer.Option(help="Base model, from which all others were made.")],
    korean: Annotated[str, typer.Option(help="The base model after Korean pre-training.")],
    chat: Annotated[
        str | None, typer.Option(help="The chat model that was made from the base.")
    ] = None,
    instruct: Annotated[
        str | None, typer.Option(help="The Korean model after instruction tuning.")
    ] = None,
    suite: Annotated[str, typer.Option(help="Name or YAML file of a suite.")] = "quick",
    template: Annotated[str, typer.Option(help="Chat template for the merged models.")] = "own",
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: Annotated[
        Path | None, typer.Option(help="YAML file with the resources to use.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot gain against loss to FILE.svg, .png or .html.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate every merge of models, and mark the best trade-offs.

    A merge is marked if no other beats it in both languages.

    The relative gap between the models is printed first: beyond a few per cent their differences do
    not transfer.
    """
    from rich.table import Table

    from kollama2.cli import pareto
    from kollama2.cli.adapt import compute
    from kollama2.errors import BadUsage
    from kollama2.evaluation.contrast import load_metrics
    from kollama2.study.frontier import frontier as combinations
    from kollama2.study.frontier import points

    if plot is not None:
        pareto.check(plot)
    made = combinations(
        base, korean, chat=chat, instruct=instruct, suite=suite, template=template, store=store,
        mirrors=mirrors,
    )  # fmt: skip
    asked = next(iter(made.stages.values())).suite
    if asked.english is None:
        raise BadUsage(f"the suite {suite!r} has no English measure; the frontier needs one")
    gaps = {name: _gap(pair, store) for name, pair in made.pairs.items()}
    for name, value in gaps.items():
        talk().print(f"relative gap of {name}: {value:.2%}")
    names = {stage.model.name: f"weights of {name}" for name, stage in made.stages.items()}
    names |= {stage.name: name for name, stage in made.stages.items()}
    folders = compute(
        list(made.stages.values()), store, profile, lambda stage: names.get(stage, stage)
    )
    scores = {
        name: load_metrics(folder).scores for name, folder in zip(made.stages, folders, strict=True)
    }
    found = points(scores, asked.primary, asked.english)
    if plot is not None:
        pareto.draw(found, asked.primary, asked.english, plot)
        talk().print(f"{plot}: Korean gain against English loss")
    if as_json:
        rows = [{**vars(point), "scores": scores[point.name]} for point in found]
        print_json({"gaps": gaps, "points": rows})
        return
    table = Table("", "model", f"Korean gain ({asked.primary})", f"English loss ({asked.english})")
    for point in found:
        mark = "★" if point.best else ""
        table.add_row(mark, point.name, f"{point.korean_gain:+.1%}", f"{point.english_loss:+.1%}")
    out().print(table)
    out().print(
        "★ no other model gains as much Korean for less English; single scores, no interval"
    )


def _gap(pair: Any, store: Path) -> float:
    from kollama2.cli.adapt import compute_one
    from kollama2.stages.source import content
    from kollama2.train.merging.merge import gap

    first, second = (content(compute_one(one, store, None, "frontier")) for one in pair)
    return gap(first, second)
