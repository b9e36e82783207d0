"""The commands of blind comparison: arena for people, judge for a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kollama2.cli.console import (
    STORE,
    HostOption,
    JsonOption,
    PortOption,
    StoreOption,
    out,
    print_json,
    talk,
)
from kollama2.evaluation.endpoint import KEY
from kollama2.locale import say

if TYPE_CHECKING:
    from kollama2.reporting.study import Study

StudyArgument = Annotated[
    str, typer.Argument(help="Name or YAML file of a study whose results are in the store.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (arena, judge):
        app.command()(command)


def arena(
    study: StudyArgument,
    store: StoreOption = STORE,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8321,
) -> None:
    """Serve a page for blind comparison of answers.

    Votes go into the report. If other machines can reach the address, it contains a token that is
    new at each start.
    """
    from kollama2.arena.app import serve
    from kollama2.web import bare, listen, new_token, url

    found = _study(study, store)
    host = bare(host)
    token = new_token(host)
    with listen(host, port) as listening:
        place = url(host, listening, token)
        told = say("arena of {study}: {place} (stop with Ctrl-C)", study=found.name, place=place)
        talk().print(told, markup=False)
        if token:
            talk().print(
                say("other machines can reach this address; only who knows all of it may vote")
            )
        serve(found, listening, token)


def judge(
    study: StudyArgument,
    url: Annotated[
        str, typer.Option("--url", help="URL of an OpenAI-compatible endpoint, up to /v1.")
    ],
    model: Annotated[str, typer.Option("--model", help="Name of the judge model at the endpoint.")],
    key: Annotated[str, typer.Option("--key", help="Environment variable with the API key.")] = KEY,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Judge only pairs with this recipe (default: all pairs)."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Maximum number of prompts.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=256, help="Number of requests at once.")
    ] = 4,
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Let a model judge the answers of a study, in both orders. Verdicts go into the report."""
    import dataclasses

    from kollama2.arena.judge import judge as have_judged
    from kollama2.arena.judge import name_of
    from kollama2.errors import BadUsage
    from kollama2.evaluation.endpoint import Endpoint
    from kollama2.reporting.preferences import panels

    found = _study(study, store)
    if against is not None and against not in found.recipes:
        raise BadUsage(
            say(
                "the study {study!r} has no recipe {recipe!r}; it has {recipes}",
                study=found.name,
                recipe=against,
                recipes=", ".join(found.recipes),
            )
        )
    with Endpoint(url, model, key_variable=key) as endpoint:
        told = have_judged(found, endpoint, against=against, limit=limit, jobs=jobs)
    panel = next((one for one in panels(found) if one.judge == name_of(model)), None)
    if as_json:
        print_json({**dataclasses.asdict(told), "result": panel and dataclasses.asdict(panel)})
        return
    talk().print(
        say(
            "{pairs:pair}: {asked:question} asked now, {gated:pair} decided by language without "
            "asking",
            pairs=told.pairs,
            asked=told.asked,
            gated=told.gated,
        )
    )
    if panel is None:
        return
    from rich.table import Table

    table = Table(say("recipe"), "Elo [95 %]", say("wins"), say("ties"), say("losses"))
    for name, one in panel.recipes.items():
        elo = one.elo
        shown = f"{elo.value + 0.0:+.0f} \\[{elo.low + 0.0:.0f}, {elo.high + 0.0:.0f}]"
        table.add_row(name, shown, str(one.wins), str(one.ties), str(one.losses))
    out().print(table)
    steady = "–" if panel.steady is None else f"{panel.steady:.0%}"
    people = say("not known") if panel.agreement is None else f"{panel.agreement:.0%}"
    out().print(
        say(
            "n = {pairs:pair} of {prompts:prompt}; the same verdict in both orders: {steady}; "
            "agreement with people: {people} (n = {agreed}); {unreadable} without a readable "
            "verdict; length controlled",
            pairs=panel.comparisons,
            prompts=panel.items,
            steady=steady,
            people=people,
            agreed=panel.agreed_on,
            unreadable=panel.unreadable,
        )
    )


def _study(name: str, store: Path) -> "Study":
    """The records of a study given by its name or by its file."""
    from kollama2.reporting.study import load
    from kollama2.study.lock import name_of

    return load(store, name_of(name, store))
