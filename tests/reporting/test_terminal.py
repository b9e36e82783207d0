import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from kollama2.reporting.table import leaderboard
from kollama2.reporting.terminal import quantity, render_terminal
from tests.reporting import fake


def shown(store: Path, width: int, *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, _environ={})
    console.print(render_terminal(leaderboard(store, "quick"), width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits(store: Path, width: int) -> None:
    text = shown(store, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "\x1b" not in text
    for recipe in fake.RECIPES:
        assert recipe.name in text


def test_intervals_are_not_read_as_markup(store: Path) -> None:
    board = leaderboard(store, "quick")
    standing = board.rows[1].standing
    assert standing is not None
    assert standing.versus_base is not None
    gain = standing.versus_base.gain
    assert f"{gain.value:.1f} [{gain.low:.1f}, {gain.high:.1f}]" in shown(store, 80)


def test_a_wide_terminal_shows_cost_and_detection_limits(store: Path) -> None:
    assert "MDE" in shown(store, 120)
    assert "7.5 MB" in shown(store, 120)
    assert "MDE" not in shown(store, 80).split("·")[0]


def test_a_terminal_has_colours(store: Path) -> None:
    assert "\x1b[" in shown(store, 80, terminal=True)


def test_long_names_fold(tmp_path: Path) -> None:
    name = "a-recipe-with-a-name-that-is-much-longer-than-its-column-in-the-table"
    long = fake.Recipe(name, -1.0, 0.0, 1e12, 10, (("data", "x"),))
    fake.write(tmp_path, recipes=(fake.RECIPES[0], long), seeds=(0,))
    text = shown(tmp_path, 80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "saved % [95 %]" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (310_000, "310 k"), (6.1e14, "610 T"), (2.5e18, "2.50e+18")],
)
def test_quantity(value: float | None, text: str) -> None:
    assert quantity(value, "") == text


def test_a_model_behind_an_api_has_answers_and_no_likelihoods(tmp_path: Path) -> None:
    """Its cell has no path, and records of the generation measures alone."""
    fake.write(tmp_path, seeds=(0,))
    path = tmp_path / "studies" / "quick.json"
    lock = json.loads(path.read_text())
    cell = next(cell for cell in lock["cells"] if cell["recipe"] == "vicuna-lora")
    cell |= {"path": [], "model": cell["evaluate"], "contamination": None}
    path.write_text(json.dumps(lock))
    items = tmp_path / cell["evaluate"] / "items.jsonl"
    kept = [line for line in items.read_text().splitlines() if '"fidelity"' in line]
    fake.rewrite(items, "\n".join(kept) + "\n")
    written = io.StringIO()
    board = leaderboard(tmp_path, "quick")
    row = next(row for row in board.rows if row.recipe == "vicuna-lora")
    assert (row.score, row.standing, row.cost.flops) == (None, None, None)
    assert list(row.measures) == ["answer-ko/fidelity"]
    Console(width=170, file=written).print(render_terminal(board, 170))
    line = next(one for one in written.getvalue().splitlines() if "vicuna-lora" in one)
    assert "not computed" not in line
    assert f"{100 * row.measures['answer-ko/fidelity'].score:.0f} %" in line
