"""What a person sees without a terminal: each phase at once, then now and then."""

import io

from rich.console import Console

from kollama2.cli.display import Display
from kollama2.engine.graph import Event, Plan
from kollama2.stages import Source

STAGE = Source(what="model", uri="builtin:miniature")


def test_a_phase_is_told_when_it_begins() -> None:
    stream = io.StringIO()
    plan = Plan((STAGE,), (STAGE,), frozenset(), (STAGE,), 0)
    with Display(Console(file=stream, width=100), plan, lambda name: "it") as display:
        display(Event("started", STAGE))
        for done, total, unit in (
            (0, 0, "loading the model"), (0, 4, "steps"), (0.5, 4, "steps"), (1, 4, "steps"),
        ):  # fmt: skip
            display(Event("progress", STAGE, {"done": done, "total": total, "unit": unit}))
    assert stream.getvalue().splitlines() == ["it: loading the model", "it: 0/4 steps"]


def test_a_terminal_shows_a_share_of_a_step() -> None:
    stream = io.StringIO()
    plan = Plan((STAGE,), (STAGE,), frozenset(), (STAGE,), 0)
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    with Display(console, plan, lambda name: "it") as display:
        display(Event("progress", STAGE, {"done": 1.5, "total": 4, "unit": "steps"}))
    assert "1.5/4 steps" in stream.getvalue()
