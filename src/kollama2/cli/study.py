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
    StoreOption,
    check_store,
    out,
    print_json,
    talk,
)
from kollama2.report.texts import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kollama2.engine.graph import Outcome, Plan
    from kollama2.engine.profile import Profile
    from kollama2.study.lock import Locked

StudyArgument = Annotated[
    str | None, typer.Argument(help="YAML file or name of a study; the embedded one by default.")
]
ProfileOption = Annotated[
    Path | None,
    typer.Option("--profile", help="YAML file with the resources for each kind of stage."),
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
    locked, todo = _planned(study, store, mirrors)
    said = warn(todo, store)
    outcome = compute(locked, todo, store, load_profile(profile, jobs))
    warn(todo, store, said)  # what nobody knew before the rows were counted
    show(locked.study.name, store, as_json=as_json)
    if outcome.failed:
        talk().print(f"{Count(len(outcome.failed)):stage} failed; run again to try once more")
        raise typer.Exit(outcome.exit_code)


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
    from kollama2.cli.mixtures import drawings
    from kollama2.cli.plan import cost_line, cost_of, describe, table
    from kollama2.engine.store import Store

    locked, todo = _planned(study, store, mirrors)
    cost = cost_of(todo, Store(store), load_profile(profile, None))
    described = describe(locked, todo, cost)
    if as_json:
        print_json(described)
        return
    out().print(table(described))
    for drawn in drawings(todo.stages):
        out().print(drawn)
    warn(todo, store)
    out().print(
        f"{Count(len(todo.stages)):stage} for {Count(len(locked.cells)):cell}: {len(todo.todo)} to "
        f"compute, {len(todo.stages) - len(todo.todo)} cached; "
        f"sharing saves {Count(todo.saved):stage}"
    )
    out().print(cost_line(cost))


def status(
    study: StudyArgument = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of each cell of a study. Works while another process computes it."""
    from rich.table import Table

    from kollama2.cli.plan import states

    locked, todo = _planned(study, store, mirrors)
    rows = states(locked, todo, store)
    if as_json:
        print_json(rows)
        return
    table = Table("recipe", "seed", "suite", "state")
    for row in rows:
        table.add_row(row["recipe"], str(row["seed"]), row["suite"], row["state"])
    out().print(table)


def why(
    first: Annotated[str, typer.Argument(help="Key or folder name of a stage, or its beginning.")],
    second: Annotated[str, typer.Argument(help="The other stage.")],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Explain why two stages differ. Lists the fields that are not equal."""
    from rich.table import Table

    from kollama2.cli.plan import recipe_of
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
    from kollama2.study.lock import name_of

    show(name_of(study, store), store, as_json=as_json)


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
    from kollama2.report.predict import predict as compare_orders
    from kollama2.report.study import load
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
    from rich.table import Table

    from kollama2.report.query import query as ask

    found = ask(store, sql)
    if as_json:
        print_json([dict(zip(found.columns, row, strict=True)) for row in found.rows])
        return
    table = Table(*found.columns)
    for row in found.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out().print(table)


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
    from kollama2.cli.plan import kept_names
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


def _planned(study: str | None, store: Path, mirrors: Path | None) -> "tuple[Locked, Plan]":
    from kollama2.engine.graph import plan as planned
    from kollama2.engine.store import Store
    from kollama2.study.lock import find, lock

    locked = lock(find(study, store), store, mirrors)
    return locked, planned(locked.targets, Store(store))


def load_profile(path: Path | None, jobs: int | None) -> "Profile":
    """The profile of a file, or this machine's: one stage a core, one thread each."""
    from kollama2.engine.document import Document
    from kollama2.engine.profile import Profile

    profile = Document(path).read(Profile) if path else Profile()
    return profile.model_copy(update={"jobs": jobs}) if jobs else profile


def compute(locked: "Locked", todo: "Plan", store: Path, profile: "Profile") -> "Outcome":
    """Compute what is missing, with a display on stderr."""
    from kollama2.engine.commit import keep_json

    keep_json(store / "studies" / f"{locked.study.name}.json", locked.record().plain())
    names = locked.stage_names()
    return launch(todo, store, profile, lambda name: names.get(name, name))


def warn(todo: "Plan", store: Path, said: "Sequence[str]" = ()) -> list[str]:
    """Say on stderr what a person may not have meant, unless it was said; answers what was."""
    from rich.markup import escape

    from kollama2.cli.mixtures import warnings
    from kollama2.engine.store import Store

    found = [one for one in warnings(todo.stages, Store(store)) if one not in said]
    for sentence in found:
        talk().print(f"[yellow]warning[/]: {escape(sentence)}")
    return [*said, *found]


def launch(
    todo: "Plan", store: Path, profile: "Profile", names: "Callable[[str], str]"
) -> "Outcome":
    """Have the local launcher compute a plan, with a display on stderr that uses these names."""
    from kollama2.cli.display import Display
    from kollama2.engine import graph
    from kollama2.engine.launch import local
    from kollama2.engine.store import Store

    kept = Store(store)
    if not todo.todo:
        return graph.run(todo.targets, kept, graph.inline(kept))
    workers = local(kept, profile, preload=(*todo.preload, "kollama2.cli.app"))
    with Display(talk(), todo, names) as display:
        return graph.run(todo.targets, kept, workers, profile.jobs, display)


def show(name: str, store: Path, *, as_json: bool) -> None:
    """Write the report of a study, unless it already tells all of this, and print the leaderboard.

    A store that may only be read still answers; why it holds no new report is said on stderr.
    """
    from kollama2.errors import Denied, StorageTrouble
    from kollama2.report.board import Leaderboard
    from kollama2.report.html import write_report
    from kollama2.report.table import leaderboard
    from kollama2.report.terminal import render_terminal

    try:
        page = write_report(store, name, store / "studies" / name)
        # The table comes from the file, so that it is the same whether or not it was computed now.
        text = (page.parent / "leaderboard.json").read_text(encoding="utf-8")
        where = f"report: {os.path.relpath(page)}"
    except (Denied, StorageTrouble) as fault:
        text = leaderboard(store, name).to_json()
        where = f"no report was written: {fault}"
    board = Leaderboard.from_json(text)
    if as_json:
        print(text, end="")
    else:
        console = out()
        console.print(render_terminal(board, console.width))
    if not (as_json and where.startswith("report:")):
        talk().print(where, markup=False)
    if board.recommended and not as_json:
        talk().print(take_away(name, board.recommended, store), markup=False)


def take_away(study: str, recipe: str, store: Path) -> str:
    """The command that exports a recipe's model, as it is typed here."""
    option = "" if store == STORE else f" --store {shlex.quote(str(store))}"
    model, folder = shlex.quote(f"{study}:{recipe}"), shlex.quote(f"{study}-{recipe}")
    return f"kollama2 export {model}{option} -o {folder}"
