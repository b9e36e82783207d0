"""What commands share: stdout is data, stderr is talk, and NO_COLOR is respected by rich."""

import inspect
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from kollama2.api.shown import Shown


def check_store(store: Path | None) -> Path | None:
    """Refuse a store that cannot be one, before anything is done for it."""
    from kollama2.api.places import store_at

    return store and store_at(store)


HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 picks a free one.")
]
StoreOption = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar="KOLLAMA2_STORE",
        help="Folder that holds all results.",
        callback=check_store,
    ),
]
MirrorsOption = Annotated[
    Path | None,
    typer.Option(
        "--mirrors", envvar="KOLLAMA2_MIRRORS", help="YAML file that maps hf: ids to local copies."
    ),
]
OntoOption = Annotated[
    str | None,
    typer.Option(
        "--onto", help="Base model for an adapter (folder or hf: id) instead of the one it names."
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Role of each column, such as instruction=ask,output=reply or text=body.",
    ),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option("--profile", help="YAML file with the resources for each kind of stage."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
STORE = Path("runs")
# What JSON does not escape by itself and a terminal obeys.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with an option for each field of those parameters that are dataclasses.

    So options that several commands share are declared once.
    """
    groups: dict[str, type[Any]] = {}
    flat = []
    for one in inspect.signature(command).parameters.values():
        if not is_dataclass(one.annotation):
            flat.append(one)
            continue
        assert isinstance(one.annotation, type)
        groups[one.name] = one.annotation
        hints = inspect.get_annotations(one.annotation)
        flat += [
            inspect.Parameter(
                field.name, one.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(one.annotation)
        ]

    @wraps(command)
    def taken(*args: Any, **named: Any) -> None:
        for name, group in groups.items():
            own = {field.name for field in fields(group)} & named.keys()
            named[name] = group(**{key: named.pop(key) for key in own})
        command(*args, **named)

    taken.__annotations__ = {one.name: one.annotation for one in flat}
    vars(taken)["__signature__"] = inspect.Signature(flat)
    return taken


def talk() -> "Console":
    """The console for messages, on stderr."""
    from rich.console import Console

    from kollama2.api.shown import careful

    return careful(Console(stderr=True, highlight=False, soft_wrap=True))


def out(*, markup: bool = True) -> "Console":
    """The console for results, on stdout; wide when it is not a terminal, so nothing is cut."""
    from rich.console import Console

    from kollama2.api.shown import careful

    console = Console(highlight=False, markup=markup, emoji=markup)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, markup=markup, emoji=markup, width=160)
    return careful(console)


def show(found: "Shown", *, as_json: bool) -> None:
    """A result on stdout, for people or as JSON."""
    if as_json:
        print_json(found.plain())
        return
    console = out(markup=False)
    for one in found.rendered(console.width):
        console.print(one)


def print_json(value: Any) -> None:
    """One JSON document on stdout; a number that is not finite is null."""
    text = json.dumps(_finite(value), ensure_ascii=False, indent=2, sort_keys=True)
    print(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
