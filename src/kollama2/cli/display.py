"""What a person sees while stages are computed: a live table on a terminal, else plain lines."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from kollama2.api.compute import Event
from kollama2.locale import mark, say

PLAIN_SECONDS = 15.0


class Display(AbstractContextManager["Display"]):
    """Shows the events of what is computed; call it with each.

    Args:
        console: where to talk.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begin(0)
        self._live = Live(
            console=console, transient=True, refresh_per_second=4, get_renderable=self._table
        )

    def _begin(self, total: int) -> None:
        self._total, self._done = total, 0
        self._begun = time.monotonic()
        self._running: dict[str, Mapping[str, Any]] = {}
        self._said: dict[str, float] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        what, name, figures = event.what, event.label, event.figures
        if what == "planned":
            self._begin(figures["total"])
            if self._console.is_terminal:
                self._live.start()
        elif what == "ended":
            self._live.stop()
        elif what == "warning":
            self._print(f"[yellow]{say('warning')}[/]: {escape(figures['message'])}")
        elif what == "note":
            self._print(escape(figures["message"]))
        elif what == "started":
            self._running[event.stage] = {"name": name}
        elif what == "progress":
            phase = self._running.get(event.stage, {}).get("unit")
            self._running[event.stage] = {**figures, "name": name}
            if not self._console.is_terminal:
                self._say_sometimes(event.stage, at_once=phase != figures.get("unit"))
        elif what == "launching" and not self._said:
            self._said[""] = time.monotonic()
            self._print(say("starting workers; the training stack takes some seconds to import"))
        elif what == "waiting":
            self._print(say("{stage}: waiting for {holder}, who has it", stage=name, **figures))
        elif what == "finished":
            self._end(event, say("[green]done[/] in {seconds:.0f} s", seconds=figures["seconds"]))
        elif what == "failed":
            self._end(event, f"[red]{say('failed')}[/]: {escape(figures['message'])}")
        elif what == "blocked":
            self._print(say("{stage}: not tried, {by} failed", stage=name, **figures))

    def _end(self, event: Event, how: str) -> None:
        self._running.pop(event.stage, None)
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {event.label}: {how}")

    def _print(self, line: str) -> None:
        self._console.print(line)

    def _say_sometimes(self, stage: str, *, at_once: bool) -> None:
        now, figures = time.monotonic(), self._running[stage]
        if at_once or now - self._said[stage] >= PLAIN_SECONDS:
            self._said[stage] = now
            self._print(f"{figures['name']}: {_figures(figures)}")

    def _table(self) -> Table:
        elapsed = time.monotonic() - self._begun
        table = Table.grid(padding=(0, 2))
        table.add_row(
            say("[bold]{done}/{total} stages[/]", done=self._done, total=self._total),
            say("{time} so far", time=_clock(elapsed)),
            "",
        )
        for figures in list(self._running.values()):  # another thread draws
            table.add_row(f"  {figures['name']}", _bar(figures), _figures(figures))
        return table


def _bar(figures: Mapping[str, Any], width: int = 20) -> str:
    total = figures.get("total") or 0
    share = min(1.0, figures.get("done", 0) / total) if total else 0.0
    full = round(share * width)
    return f"[cyan]{'━' * full}[/][dim]{'━' * (width - full)}[/]"


def _figures(figures: Mapping[str, Any]) -> str:
    done, total = figures.get("done", 0), figures.get("total", 0)
    if not total:
        unit = say(figures.get("unit", mark("starting")))
        return f"{done:,.0f} {unit}" if done else unit
    unit = say(figures["unit"]) if "unit" in figures else ""
    parts = [f"{done:,.{0 if done == int(done) else 1}f}/{total:,.0f} {unit}"]
    if "loss" in figures:
        parts.append(say("loss {loss:.3f}", loss=figures["loss"]))
    if "tokens_per_second" in figures:
        parts.append(say("{speed:,.0f} tokens/s", speed=figures["tokens_per_second"]))
    seconds = figures.get("seconds", 0.0)
    if done and seconds > 1:
        parts.append(say("{time} left", time=_clock(seconds * (total - done) / done)))
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
