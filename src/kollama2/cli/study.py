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
from kollama2.reporting.texts import Count

if TYPE_CHECKING:
    from kollama2.api.study import Result

StudyArgument = Annotated[
    str | None, typer.Argument(help="YAML file or name of a study; the embedded one by default.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Stages to run at once; one per core by default."),
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
    """Compute, resume or extend a study. Ends with a leaderboard and report.html."""
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
        talk().print(f"{Count(len(result.failed)):stage} failed; run again to try once more")
        raise typer.Exit(result.exit_code)


def plan(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a study would compute and cost.

    Also what is cached already, and what shared stages save.
    """
    from rich.markup import escape

    from kollama2.api.plan import plan as planned

    found = planned(study, store=store, mirrors=mirrors, profile=profile)
    show(found, as_json=as_json)
    if not as_json:
        for sentence in found.warnings:
            talk().print(f"[yellow]warning[/]: {escape(sentence)}")


def status(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of each cell of a study. Works while another process computes it."""
    from kollama2.api.listing import status as progress

    show(progress(study, store=store, mirrors=mirrors), as_json=as_json)


def why(
    first: Annotated[str, typer.Argument(help="Key or folder name of a stage, or its beginning.")],
    second: Annotated[str, typer.Argument(help="The other stage.")],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Explain why two stages differ. Lists the fields that are not equal."""
    from rich.table import Table

    from kollama2.api.plan import recipe_of
    from kollama2.engine.stage import why as differences

    found = differences(recipe_of(store, first), recipe_of(store, second))
    if as_json:
        print_json([{"field": field, "first": a, "second": b} for field, a, b in found])
        return
    table = Table("field", first, second)
    for field, a, b in found:
        table.add_row(field, str(a), str(b))
    out().print(table if found else "the same recipe")


def report(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Report on what is computed so far. Writes report.html and prints the leaderboard."""
    from kollama2.api.study import report as read

    show_result(read(study, store=store), store, as_json=as_json)


def predict(
    small: Annotated[str, typer.Argument(help="Study that predicts, e.g. one on the miniature.")],
    large: Annotated[str, typer.Argument(help="Study to predict, on a larger model.")],
    store: StoreOption = STORE,
    large_store: Annotated[
        Path | None,
        typer.Option(
            "--large-store",
            help="Store of the second study, if it is a different one.",
            callback=check_store,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how well one study predicts the ranking in another. They must share recipes."""
    from rich.table import Table

    from kollama2.errors import BadUsage
    from kollama2.reporting.predict import predict as compare_orders
    from kollama2.reporting.study import load
    from kollama2.study.lock import name_of

    stores = (store, large_store or store)
    small, large = (name_of(one, place) for one, place in zip((small, large), stores, strict=True))
    if small == large and stores[0].resolve() == stores[1].resolve():
        raise BadUsage(
            f"{small} predicts itself, which tells nothing; name another study, or with "
            "--large-store the store where it was computed on a larger model"
        )
    found = compare_orders(load(stores[0], small), load(stores[1], large))
    if as_json:
        print_json([one._asdict() for one in found])
        return
    table = Table("measure", "recipes", "Kendall's tau", "95 %", "separable pairs", "told right")
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
    sql: Annotated[str, typer.Argument(help="SQL over the views stages, scores, items, curves.")],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Query the records of all stages with SQL."""
    from kollama2.api.listing import query as ask

    show(ask(sql, store=store), as_json=as_json)


def gc(
    studies: Annotated[
        list[str] | None,
        typer.Argument(help="Studies to keep; by default all that the store knows."),
    ] = None,
    store: StoreOption = STORE,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them instead of listing them.")
    ] = False,
) -> None:
    """List or delete what no study uses and what was left unfinished.

    Left unfinished is looked for in the store, beside it and in this folder.
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
    done = "deleted" if delete else "could be deleted with --delete"
    talk().print(f"{Count(len(found)):folder}, {total:.1f} MB {done}")


def show_result(result: "Result", store: Path, *, as_json: bool) -> None:
    """Print the leaderboard; where the report lies, or why there is none, is said on stderr."""
    if as_json:
        print(result.json, end="")
    else:
        show(result, as_json=False)
    if result.report is None:
        talk().print(f"no report was written: {result.trouble}", markup=False)
    elif not as_json:
        talk().print(f"report: {os.path.relpath(result.report)}", markup=False)
    if result.board.recommended and not as_json:
        talk().print(take_away(result.study, result.board.recommended, store), markup=False)


def take_away(study: str, recipe: str, store: Path) -> str:
    """The command that exports a recipe's model, as it is typed here."""
    option = "" if store == STORE else f" --store {shlex.quote(str(store))}"
    model, folder = shlex.quote(f"{study}:{recipe}"), shlex.quote(f"{study}-{recipe}")
    return f"kollama2 export {model}{option} -o {folder}"
