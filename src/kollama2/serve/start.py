"""From what is asked for on the command line to a server that listens."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kollama2.engine.hub import load_mirrors
from kollama2.errors import BadUsage
from kollama2.locale import say
from kollama2.web import bare, is_loopback, listen, url

if TYPE_CHECKING:
    from kollama2.model.find import Mirrors
    from kollama2.serve.model import Model

KEY = "KOLLAMA2_UPSTREAM_KEY"  # environment variable with the key of another server
_TOKEN = re.compile(r"[!-~]{16,}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How models are served.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        token: what requests must carry; None only where nobody but this machine is served.
        rows: texts that are written at once, for each model.
        queue: texts that may wait, for each model.
        most: new tokens that a request may ask for.
        seconds: for one request.
        drain: seconds for what is being written when the process is to end.
        context: tokens of a prompt with its answer; None for the models' own.
        tokenizer: a `tokenizer.model`, where a folder holds none.
        onto: the base of adapters, in the place of their own.
        adapters: those that go on the one model that is served, each as `NAME=ADAPTER`.
        mirrors: the file of local copies of hub repositories.
        safe: judge with the embedded classifier.
        safe_by: judge with these classifiers.
        upstream: the address of another server that answers, up to `/v1`; `KOLLAMA2_UPSTREAM_KEY`
            is its key.
    """

    host: str = "127.0.0.1"
    port: int = 8322
    token: str | None = None
    rows: int = 8
    queue: int = 32
    most: int = 2048
    seconds: float = 600.0
    drain: int = 30
    context: int | None = None
    tokenizer: Path | None = None
    onto: str | None = None
    adapters: tuple[str, ...] = ()
    mirrors: Path | None = None
    safe: bool = False
    safe_by: tuple[str, ...] = ()
    upstream: str | None = None


def start(models: Sequence[str], options: Options, tell: Callable[[str], None]) -> None:
    """Serve models until the process is asked to end.

    Args:
        models: each as `NAME=MODEL`, or MODEL, whose last part is its name; of another server
            those that clients may ask for, none for all.
        options: how.
        tell: receives what is said to whoever started it.

    Raises:
        BadUsage: two models have one name, or other machines could ask without a token.
        Fault: a model or classifier cannot be loaded.
    """
    host = bare(options.host)
    places, adapters = _checked(models, options, host)
    from kollama2.safety.guard import Guard
    from kollama2.safety.load import DEFAULT, load
    from kollama2.serve.served import Served
    from kollama2.serve.server import serve
    from kollama2.serve.upstream import Upstream

    mirrors = load_mirrors(options.mirrors)
    chosen = dict.fromkeys([*([DEFAULT] if options.safe else []), *options.safe_by])
    guard = Guard([load(name, mirrors=mirrors) for name in chosen]) if chosen else None
    served = Served({}, guard or Guard([load(DEFAULT)]), guard, options.seconds)
    with listen(host, options.port) as listening:
        if options.upstream is None:
            served.models |= _opened(places, adapters, options, mirrors, tell)
        else:
            served.upstream = Upstream(
                options.upstream, os.environ.get(KEY), names=list(models), rows=options.rows,
                queue=options.queue, seconds=options.seconds,
            )  # fmt: skip
        tell(
            say(
                "{place}v1 (stop with Ctrl-C or SIGTERM); to chat in a browser: {place}",
                place=url(host, listening),
            )
        )
        serve(served, listening, options.token or None, options.drain)


def _checked(
    models: Sequence[str], options: Options, host: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The models and the adapters by their names, before anything is loaded.

    Raises:
        BadUsage: as `start`.
    """
    if options.token and not _TOKEN.fullmatch(options.token):
        raise BadUsage("the token has fewer than 16 characters, blanks or no ASCII; choose another")
    if not options.token and not is_loopback(host):
        raise BadUsage(f"other machines reach {host}; give --token, or KOLLAMA2_TOKEN")
    if options.adapters and (len(models) != 1 or options.upstream is not None):
        raise BadUsage("--adapter is for one base; name that model, and no other")
    if options.upstream is not None:
        return {}, {}
    if not models:
        raise BadUsage("nothing is to be served; name a model, or --upstream URL")
    places = dict[str, str]()
    for one in (*models, *options.adapters):
        name, place = named(one)
        if name in places:
            raise BadUsage(f"two models are called {name}; give one of them as NAME=MODEL")
        places[name] = place
    bases = dict(list(places.items())[: len(models)])
    return bases, {name: place for name, place in places.items() if name not in bases}


def named(text: str) -> tuple[str, str]:
    """The name and the place of a model: those of `NAME=MODEL`, else the end of its path.

    Raises:
        BadUsage: the name is empty.
    """
    name, given, place = text.partition("=")
    if not given or "/" in name:
        # The folder that `.` stands for has a name too; a link keeps its own.
        name, place = Path(os.path.abspath(text)).name.removesuffix(".gguf"), text  # noqa: PTH100
        name = text.removeprefix("hf:") if text.startswith("hf:") else name
    if not name or not place:
        raise BadUsage(f"{text!r} names no model; give a model, or NAME=MODEL")
    return name, place


def _opened(
    places: Mapping[str, str],
    adapters: Mapping[str, str],
    options: Options,
    mirrors: "Mirrors",
    tell: Callable[[str], None],
) -> "dict[str, Model]":
    """Load the models, and tell what they are."""
    from kollama2.llama.licence import notice
    from kollama2.serve.adapters import open_adapters
    from kollama2.serve.model import open_model

    opened = {}
    for name, place in places.items():
        opened[name] = model = open_model(name, place, options, mirrors=mirrors, tell=tell)
        texts = f"{model.engine.rows} texts" if model.engine.batched else "one text"
        tell(f"{name}: {model.length} tokens of context, {texts} at a time")
    for name, place in places.items() if adapters else ():
        for one in open_adapters(opened[name], place, adapters, mirrors, tell):
            opened[one.name] = one
            tell(f"{one.name}: an adapter on {name}, which is in memory once")
    for text in dict.fromkeys(notice(place, mirrors) for place in places.values()):
        if text:
            tell(text)
    return opened
