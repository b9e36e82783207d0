"""The commands of a study: run, plan, status, why, report, predict, query, gc."""

import math
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    ProfileOption,
    StoreOption,
    check_store,
    out,
    print_json,
    show,
    talk,
)
from kollama2.locale import say

if TYPE_CHECKING:
    from kollama2.api.study import Result

StudyArgument = Annotated[
    str | None, typer.Argument(help="YAML file or name of a study (default: the embedded one).")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Number of stages to run at once (default: one per core)."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, plan, status, why, report, predict, query, gc):
        app.command()(command)


def run(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute, resume or extend a study.

    It ends with a leaderboard and report.html; the same command continues after an interruption.
    """
    from kollama2.api.study import run as compute
    from kollama2.cli.display import Display

    with Display(talk()) as display:
        result = compute(
            study,
            store=store,
            mirrors=mirrors,
            profile=profile,
            jobs=jobs,
            progress=display,
            check=False,
        )
    show_result(result, store, as_json=as_json)
    if result.failed:
        talk().print(
            say("{count:stage} failed; run again to try once more", count=len(result.failed))
        )
        raise typer.Exit(result.exit_code)


def plan(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a study would compute and cost.

    This includes what is cached already, and what sharing stages saves.
    """
    from rich.markup import escape

    from kollama2.api.plan import plan as planned

    found = planned(study, store=store, mirrors=mirrors, profile=profile)
    show(found, as_json=as_json)
    if not as_json:
        for sentence in found.warnings:
            talk().print(f"[yellow]{say('warning')}[/]: {escape(sentence)}")


def status(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of each cell of a study, even while another process computes it."""
    from kollama2.api.listing import status as progress

    show(progress(study, store=store, mirrors=mirrors), as_json=as_json)


def why(
    first: Annotated[str, typer.Argument(help="Key or folder name of a stage, or how it begins.")],
    second: Annotated[str, typer.Argument(help="The other stage.")],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """List the fields in which two stages differ."""
    from rich.table import Table

    from kollama2.api.plan import recipe_of
    from kollama2.engine.stage import why as differences

    found = differences(recipe_of(store, first), recipe_of(store, second))
    if as_json:
        print_json([{"field": field, "first": a, "second": b} for field, a, b in found])
        return
    table = Table(say("field"), first, second)
    for field, a, b in found:
        table.add_row(field, str(a), str(b))
    out().print(table if found else say("the same recipe"))


def report(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Print the leaderboard of what is computed so far, and write report.html."""
    from kollama2.api.study import report as read

    show_result(read(study, store=store), store, as_json=as_json)


def predict(
    small: Annotated[
        str, typer.Argument(help="Study to predict from, such as one on the miniature.")
    ],
    large: Annotated[str, typer.Argument(help="Study to predict, on a larger model.")],
    store: StoreOption = STORE,
    large_store: Annotated[
        Path | None,
        typer.Option(
            "--large-store",
            help="Store of the larger study, if it is another one.",
            callback=check_store,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well one study predicts the ranking in another with the same recipes."""
    from rich.table import Table

    from kollama2.errors import BadUsage
    from kollama2.reporting.predict import predict as compare_orders
    from kollama2.reporting.study import load
    from kollama2.study.lock import name_of

    stores = (store, large_store or store)
    small, large = (name_of(one, place) for one, place in zip((small, large), stores, strict=True))
    if small == large and stores[0].resolve() == stores[1].resolve():
        raise BadUsage(
            say(
                "{study} predicts itself, which tells nothing; name another study, or with "
                "--large-store the store where it was computed on a larger model",
                study=small,
            )
        )
    found = compare_orders(load(stores[0], small), load(stores[1], large))
    if as_json:
        print_json([one._asdict() for one in found])
        return
    heads = say("measure"), say("recipes"), "Kendall's tau", "95 %"
    table = Table(*heads, say("separable pairs"), say("told right"))
    for one in found:
        table.add_row(
            one.measure,
            str(len(one.recipes)),
            "–" if math.isnan(one.tau) else f"{one.tau:.2f}",
            "–" if math.isnan(one.low) else rf"\[{one.low:.2f}, {one.high:.2f}]",
            str(one.separable),
            str(one.right),
        )
    out().print(table)
    out().print(found[0].sentence(small, large))


def query(
    sql: Annotated[
        str, typer.Argument(help="SQL over the views stages, scores, items and curves.")
    ],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Query the records of all stages with SQL."""
    from kollama2.api.listing import query as ask

    show(ask(sql, store=store), as_json=as_json)


def gc(
    studies: Annotated[
        list[str] | None,
        typer.Argument(help="Studies whose stages to keep (default: all in the store)."),
    ] = None,
    store: StoreOption = STORE,
    delete: Annotated[bool, typer.Option("--delete", help="Delete instead of listing.")] = False,
) -> None:
    """List or delete stages that no study uses, and unfinished folders.

    Unfinished folders are looked for in the store, beside it and in the current folder.
    """
    from kollama2.api.plan import kept_names
    from kollama2.engine.gc import gc as collect
    from kollama2.engine.store import Store

    found = collect(
        Store(store), kept_names(store, studies or []), delete=delete, beside=(Path(), store.parent)
    )
    for folder, size in found:
        name = folder.name if folder.parent == store else os.path.relpath(folder)
        out().print(f"{size / 1e6:10.1f} MB  {name}")
    total = sum(size for _, size in found) / 1e6
    values = {"count": len(found), "size": total}
    talk().print(
        say("{count:folder}, {size:.1f} MB deleted", **values)
        if delete
        else say("{count:folder}, {size:.1f} MB could be deleted with --delete", **values)
    )


def show_result(result: "Result", store: Path, *, as_json: bool) -> None:
    """Print the leaderboard; where the report lies, or why there is none, is said on stderr."""
    if as_json:
        print(result.json, end="")
    else:
        show(result, as_json=False)
    if result.report is None:
        talk().print(say("no report was written: {why}", why=result.trouble), markup=False)
    elif not as_json:
        talk().print(say("report: {file}", file=os.path.relpath(result.report)), markup=False)
    if result.board.recommended and not as_json:
        talk().print(take_away(result.study, result.board.recommended, store), markup=False)


def take_away(study: str, recipe: str, store: Path) -> str:
    """The command that exports a recipe's model, as it is typed here."""
    option = "" if store == STORE else f" --store {shlex.quote(str(store))}"
    model, folder = shlex.quote(f"{study}:{recipe}"), shlex.quote(f"{study}-{recipe}")
    return f"kollama2 export {model}{option} -o {folder}"
