"""What a person sees while a study is computed: a live table on a terminal, else plain lines."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from kollama2.engine.graph import Event, Plan

PLAIN_SECONDS = 15.0


class Display(AbstractContextManager["Display"]):
    """Shows the events of `run`; call it with each.

    Args:
        console: where to talk.
        plan: what is to be computed.
        names: what to call a stage, by the name of its folder.
    """

    def __init__(self, console: Console, plan: Plan, names: Callable[[str], str]) -> None:
        self._console, self._names = console, names
        self._total = len(plan.todo)
        self._done = 0
        self._begun = time.monotonic()
        self._running: dict[str, dict[str, Any]] = {}
        self._said: dict[str, float] = {}
        self._live = Live(
            console=console, transient=True, refresh_per_second=4, get_renderable=self._table
        )

    def __enter__(self) -> "Display":
        if self._console.is_terminal and self._total:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        name = event.stage.name
        if event.what == "started":
            self._running[name] = {}
        elif event.what == "progress":
            phase = self._running.get(name, {}).get("unit")
            self._running[name] = event.figures
            if not self._console.is_terminal:
                self._say_sometimes(name, at_once=phase != event.figures.get("unit"))
        elif event.what == "launching" and not self._said:
            self._said[""] = time.monotonic()
            self._print("starting workers; the training stack takes some seconds to import")
        elif event.what == "waiting":
            self._print(f"{self._names(name)}: waiting for {event.figures['holder']}, who has it")
        elif event.what == "finished":
            self._end(name, f"[green]done[/] in {event.figures['seconds']:.0f} s")
        elif event.what == "failed":
            self._end(name, f"[red]failed[/]: {escape(event.figures['message'])}")
        elif event.what == "blocked":
            self._print(
                f"{self._names(name)}: not tried, {self._names(event.figures['by'])} failed"
            )

    def _end(self, name: str, how: str) -> None:
        self._running.pop(name, None)
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {self._names(name)}: {how}")

    def _print(self, line: str) -> None:
        self._console.print(line)

    def _say_sometimes(self, name: str, *, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._said[name] >= PLAIN_SECONDS:
            self._said[name] = now
            self._print(f"{self._names(name)}: {_figures(self._running[name])}")

    def _table(self) -> Table:
        elapsed = time.monotonic() - self._begun
        table = Table.grid(padding=(0, 2))
        table.add_row(
            f"[bold]{self._done}/{self._total} stages[/]", f"{_clock(elapsed)} so far", ""
        )
        for name, figures in list(self._running.items()):  # another thread draws
            table.add_row(f"  {self._names(name)}", _bar(figures), _figures(figures))
        return table


def _bar(figures: dict[str, Any], width: int = 20) -> str:
    total = figures.get("total") or 0
    share = min(1.0, figures.get("done", 0) / total) if total else 0.0
    full = round(share * width)
    return f"[cyan]{'━' * full}[/][dim]{'━' * (width - full)}[/]"


def _figures(figures: dict[str, Any]) -> str:
    done, total = figures.get("done", 0), figures.get("total", 0)
    if not total:
        unit = figures.get("unit", "starting")
        return f"{done:,.0f} {unit}" if done else unit
    parts = [f"{done:,.{0 if done == int(done) else 1}f}/{total:,.0f} {figures.get('unit', '')}"]
    if "loss" in figures:
        parts.append(f"loss {figures['loss']:.3f}")
    if "tokens_per_second" in figures:
        parts.append(f"{figures['tokens_per_second']:,.0f} tokens/s")
    seconds = figures.get("seconds", 0.0)
    if done and seconds > 1:
        parts.append(f"{_clock(seconds * (total - done) / done)} left")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
