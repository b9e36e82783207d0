"""What a person sees without a terminal: each phase at once, then now and then."""

import io

from rich.console import Console

from kollama2.api.compute import Event
from kollama2.cli.display import Display

PLANNED = Event("planned", figures={"total": 1})


def test_a_phase_is_told_when_it_begins() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, width=100)) as display:
        display(PLANNED)
        display(Event("started", "it-1", "it"))
        for done, total, unit in (
            (0, 0, "loading the model"), (0, 4, "steps"), (0.5, 4, "steps"), (1, 4, "steps"),
        ):  # fmt: skip
            figures = {"done": done, "total": total, "unit": unit}
            display(Event("progress", "it-1", "it", figures))
    assert stream.getvalue().splitlines() == ["it: loading the model", "it: 0/4 steps"]


def test_a_terminal_shows_a_share_of_a_step() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    with Display(console) as display:
        display(PLANNED)
        display(Event("progress", "it-1", "it", {"done": 1.5, "total": 4, "unit": "steps"}))
    assert "1.5/4 steps" in stream.getvalue()
