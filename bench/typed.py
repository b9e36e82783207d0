"""Types commands as a user does, in this process, and says how they ended."""

import contextlib
import io
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from kollama2.cli import app
from kollama2.errors import Fault

CODES = {64, 65, 69, 74, 75, 76, 77}  # of `kollama2.errors`


@dataclass(frozen=True)
class Ended:
    """How something ended.

    Attributes:
        code: the exit code; 70 for an exception that came through.
        out: what was printed.
        said: what was said on stderr.
        seconds: how long it took.
        trace: the exception that came through.
    """

    code: int
    out: str
    said: str
    seconds: float
    trace: str = ""

    @property
    def sentences(self) -> list[str]:
        """The faults that were told."""
        return [line for line in self.said.splitlines() if line.startswith("kollama2: ")]

    @property
    def refusal(self) -> str:
        """`said` is a fault in a sentence; `traceback` and `silent` are no good end."""
        if self.trace or self.code == 70 or "Traceback (most recent call last)" in self.said:
            return "traceback"
        return "said" if self.code in CODES and self.sentences else "silent"


def call(function: Callable[[], Any]) -> Ended:
    """Call a function of the package; a fault of it is said as the command line says it."""
    out, said, code, trace, began = io.StringIO(), io.StringIO(), 0, "", time.monotonic()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            function()
    except Fault as fault:
        code = fault.exit_code
        said.write(f"kollama2: {fault}\n")
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # a panic of Rust is no Exception
        code, trace = 70, traceback.format_exc()
    return Ended(code, out.getvalue(), said.getvalue(), time.monotonic() - began, trace)


def command(*words: str, within: AbstractContextManager[Any] = nullcontext()) -> Ended:  # noqa: B008
    """Type a command, in a context that it needs."""

    def typed() -> None:
        with within:
            app.main()

    before, sys.argv = sys.argv, ["kollama2", *words]
    try:
        return call(typed)
    finally:
        sys.argv = before
