"""Progress of a stage: passed on to the display, and to a file for other processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kollama2.engine import commit
from kollama2.records.read import Json

Tell = Callable[[str, dict[str, Any]], None]
"""Receives an event and its figures: `launching` (none), `waiting` (holder), `started` (none),
`progress` (done, total, unit, …) or `damaged` (message: a result was moved aside)."""

_SHOW_SECONDS = 0.25


class Progress:
    """Passes progress on, at most four times a second, and to a file for other processes.

    The file also carries the seconds of interrupted attempts into the next one.
    """

    def __init__(self, file: Path, before: Json, tell: Tell) -> None:
        self.file, self._tell = file, tell
        self._earlier = float(before.get("seconds", 0.0))
        self.attempts = int(before.get("attempts", 0)) + 1
        self._begun = time.monotonic()
        self._shown = -_SHOW_SECONDS
        self({})

    def seconds(self) -> float:
        """Seconds of work in all attempts."""
        return self._earlier + time.monotonic() - self._begun

    def __call__(self, figures: dict[str, Any]) -> None:
        """Show these figures, unless others were shown a moment ago."""
        now = time.monotonic()
        last = figures.get("done") == figures.get("total")
        if now - self._shown < _SHOW_SECONDS and not last:
            return
        self._shown = now if figures else self._shown
        whole = {**figures, "seconds": round(self.seconds(), 3), "attempts": self.attempts}
        commit.write_json(self.file, {**whole, "pid": os.getpid()}, durable=False)
        if figures:
            self._tell("progress", whole)
