"""What commands share: stdout is data, stderr is talk, and NO_COLOR is respected by rich."""

import json
import math
import os
import re
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kollama2.errors import visible

if TYPE_CHECKING:
    from rich.console import Console


def check_store(store: Path | None) -> Path | None:
    """Refuse a store that cannot be one, before anything is done for it.

    Raises:
        StorageTrouble: it is a file, lies below one, or its name is too long.
        Denied: it may not be looked into.
    """
    from kollama2.errors import StorageTrouble, storage

    if store is not None:
        with storage(store), suppress(FileNotFoundError):
            if not S_ISDIR(store.stat().st_mode):
                raise StorageTrouble(f"the store {store} is a file; name a folder with --store")
            next(store.iterdir(), None)
    return store


StoreOption = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar="KOLLAMA2_STORE",
        help="Folder in which all results are kept.",
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
        "--onto", help="Base for an adapter (folder, hf: id), instead of the one it names."
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Which column plays which role: instruction=ask,output=reply or text=body.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
STORE = Path("runs")
# What JSON does not escape by itself and a terminal obeys.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def talk() -> "Console":
    """The console for messages, on stderr."""
    from rich.console import Console

    return _careful(Console(stderr=True, highlight=False, soft_wrap=True))


def out() -> "Console":
    """The console for results, on stdout; wide when it is not a terminal, so nothing is cut."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=160)
    return _careful(console)


def _careful(console: "Console") -> "Console":
    """A console on which no text that is printed can move the cursor or turn the line around."""
    from rich.console import ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.measure import Measurement
    from rich.segment import Segment

    class Shown:
        def __init__(self, what: ConsoleRenderable) -> None:
            self.what = what

        def __rich_console__(self, console: "Console", options: ConsoleOptions) -> RenderResult:
            for one in console.render(self.what, options):
                yield one if one.control else Segment(visible(one.text), one.style)

        def __rich_measure__(self, console: "Console", options: ConsoleOptions) -> Measurement:
            return Measurement.get(console, options, self.what)

    class Hook(RenderHook):
        def process_renderables(
            self, renderables: list[ConsoleRenderable]
        ) -> list[ConsoleRenderable]:
            return [Shown(one) for one in renderables]

    console.push_render_hook(Hook())
    return console


def check_new(folder: Path) -> None:
    """Refuse a folder for output that holds something or cannot be written, before the work.

    Raises:
        BadUsage: it holds something.
        TryLater, Denied, StorageTrouble: it cannot be written.
    """
    from kollama2.engine.leftovers import owner_of
    from kollama2.errors import BadUsage, storage

    with storage(folder):
        if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
            raise BadUsage(f"{folder} is not empty; name a new folder with -o")
        whole = folder.absolute()
        probe = owner_of(whole.with_name(f".{whole.name}.partial-{os.getpid():08x}"))
        probe.mkdir(parents=True)
        probe.rmdir()


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
