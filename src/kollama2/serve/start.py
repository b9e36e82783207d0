"""From what is asked for on the command line to a server that listens."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kollama2.engine.hub import load_mirrors
from kollama2.errors import BadUsage
from kollama2.llama.licence import notice
from kollama2.safety.guard import Guard
from kollama2.safety.load import DEFAULT, load
from kollama2.serve.app import Served
from kollama2.serve.model import Model, named, open_model
from kollama2.serve.server import serve
from kollama2.web import is_loopback, listen

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
        mirrors: the file of local copies of hub repositories.
        safe: judge with the embedded classifier.
        safe_by: judge with these classifiers.
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
    mirrors: Path | None = None
    safe: bool = False
    safe_by: tuple[str, ...] = ()


def start(models: Sequence[str], options: Options, tell: Callable[[str], None]) -> None:
    """Serve models until the process is asked to end.

    Args:
        models: each as `NAME=MODEL`, or MODEL, whose last part is its name.
        options: how.
        tell: receives what is said to whoever started it.

    Raises:
        BadUsage: two models have one name, or other machines could ask without a token.
        Fault: a model or classifier cannot be loaded.
    """
    host = options.host.removeprefix("[").removesuffix("]")
    token = options.token or None
    if token is not None and not _TOKEN.fullmatch(token):
        raise BadUsage("the token has fewer than 16 characters, blanks or no ASCII; choose another")
    if token is None and not is_loopback(host):
        raise BadUsage(f"other machines reach {host}; give --token, or KOLLAMA2_TOKEN")
    names = [named(one)[0] for one in models]
    if again := [one for one in names if names.count(one) > 1]:
        raise BadUsage(f"two models are called {again[0]}; give one of them as NAME=MODEL")
    mirrors = load_mirrors(options.mirrors)
    chosen = dict.fromkeys([*([DEFAULT] if options.safe else []), *options.safe_by])
    guard = Guard([load(name, mirrors=mirrors) for name in chosen]) if chosen else None
    with listen(host, options.port) as listening:
        opened: dict[str, Model] = {}
        for one in models:
            model = open_model(
                one, rows=options.rows, queue=options.queue, most=options.most,
                context=options.context, tokenizer=options.tokenizer, onto=options.onto,
                mirrors=mirrors, tell=tell,
            )  # fmt: skip
            opened[model.name] = model
            how = (
                f"{model.engine.rows} texts at once"
                if model.engine.batched
                else "one text at a time"
            )
            tell(f"{model.name}: {model.length} tokens of context, {how}")
        for text in dict.fromkeys(notice(named(one)[1], mirrors) for one in models):
            if text:
                tell(text)
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{listening.getsockname()[1]}/v1 (stop with Ctrl-C or SIGTERM)")
        served = Served(opened, guard or Guard([load(DEFAULT)]), guard, options.seconds)
        serve(served, listening, token, options.drain)
