"""The commands of kollama2. Heavy libraries are imported inside the commands that need them."""

import io
import os
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kollama2 import __version__
from kollama2.cli import (
    arena,
    chat,
    data,
    doctor,
    download,
    evaluate,
    export,
    frontier,
    language,
    model,
    schema,
    serve,
    study,
    tokenizer,
    watch,
)
from kollama2.errors import Fault, Notice, TryLater, storage_fault, visible
from kollama2.locale import chosen, say

app = typer.Typer(
    name="kollama2",
    help="Find the best way to teach an English LLM Korean, prove it, and hand over the model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 64 wrong usage, 65 bad data, 69 something is missing, 70 a defect, "
        "74 I/O error, 75 try again later, 76 corrupt file, 77 permission denied, 130 interrupted."
    ),
)


def _version(asked: bool) -> None:
    if asked:
        print(f"kollama2 {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
    lang: Annotated[
        Literal["en", "ko"] | None,
        typer.Option(
            help="Language of messages; it may also follow the command (default: from LANG)."
        ),
    ] = None,
) -> None:
    """Options of the program itself; `main` has taken the language before anything is read."""


study.add_to(app)
model.add_to(app)
app.command()(export.export)
evaluate.add_to(app)
chat.add_to(app)
download.add_to(app)
doctor.add_to(app)
arena.add_to(app)
serve.add_to(app)
app.command()(frontier.frontier)
app.command()(schema.schema)
app.command()(watch.watch)
app.add_typer(data.app, name="data")
app.add_typer(tokenizer.app, name="tokenizer")


def main() -> None:
    """Run a command; a fault is one sentence on stderr and an exit code, never a traceback."""
    warnings.showwarning = _tell
    arguments = language.first(sys.argv[1:])
    language.choose(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may know no Korean
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores it
                signal.signal(number, _end)
        code = _command()(arguments, standalone_mode=False)
    except Fault as fault:
        _say(str(fault))
        code = fault.exit_code
    except typer.Abort:
        code = 130
    except _Ended as end:
        _say(
            say(
                "ended by {signal}; nothing finished is lost and the same command continues",
                signal=end,
            )
        )
        code = TryLater.exit_code
    except KeyboardInterrupt:
        _say(say("interrupted; the same command continues where this one stopped"))
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone, e.g. `kollama2 query … | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except typer.TyperException as error:
        # Everything that the command line itself can have wrong: an option, a missing argument.
        said = language.usage(error)
        print(said, file=sys.stderr) if "\n" in said else _say(said)  # a group alone: its help
        code = 64
    except Exception as error:
        # Permissions, full and read-only disks, names that are too long; all else is a defect.
        place = getattr(error, "filename", None) or say("what was to be written")
        trouble = storage_fault(error, Path(place))
        if trouble is None:
            raise
        _say(str(trouble))
        code = trouble.exit_code
    sys.exit(code or 0)


def _command() -> Any:
    """The commands, with their help in the chosen language."""
    command: Any = typer.main.get_command(app)
    if chosen() != "en":
        language.translate(command)
    return command


class _Ended(BaseException):
    """Somebody asked the process to end: a scheduler, or a terminal that was closed."""


def _end(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # what is being tidied up now takes a moment
    raise _Ended(signal.Signals(number).name)


_show = warnings.showwarning


def _tell(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """A notice as one sentence; other warnings as Python writes them."""
    if issubclass(category, Notice):
        _say(str(message))
    else:
        _show(message, category, *place, **more)


def _say(message: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(f"kollama2: {visible(message)}", file=sys.stderr)
