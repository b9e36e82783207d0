"""A frontier from the command line, from folders to the table, the data and the picture."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.cli.test_commands import SUITE, TEST
from tests.commands import kollama2


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A suite, and the tiny model beside two that differ a little from it."""
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test.txt").write_text(TEST, encoding="utf-8")
    for name, change in (("base", 0.0), ("ko", 0.02), ("chat", -0.01)):
        shutil.copytree(tiny_model, tmp_path / name)
        weights = load_file(tmp_path / name / "model.safetensors")
        moved = {key: value * (1 + change) for key, value in weights.items()}
        save_file(moved, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    return tmp_path


@pytest.mark.slow
def test_every_combination_is_scored_and_drawn(folder: Path) -> None:
    asked = ("frontier", "--base", "base", "--korean", "ko", "--chat", "chat")
    asked += ("--suite", "small.yaml", "--plot", "f.html")
    done = kollama2(*asked, folder=folder)
    assert done.returncode == 0, done.stderr
    # |1.02 - 1| / (1.02 + 1), over all weights.
    assert "relative gap of base and ko: 0.99%" in done.stderr
    assert "relative gap of base and chat: 0.50%" in done.stderr
    assert "0.5 ko" in done.stdout
    assert "★" in done.stdout
    page = (folder / "f.html").read_text(encoding="utf-8")
    assert "<td>ko + 1 chat vector</td>" in page
    again = kollama2(*asked, "--json", folder=folder)
    assert "evaluate" not in again.stderr  # nothing is computed twice
    points = {one["name"]: one for one in json.loads(again.stdout)["points"]}
    assert len(points) == 13
    assert points["base"]["korean_gain"] == points["base"]["english_loss"] == 0
    best = [one for one in points.values() if one["best"]]
    gains, losses = ([one[key] for one in best] for key in ("korean_gain", "english_loss"))
    assert gains == sorted(gains, reverse=True)
    assert losses == sorted(losses, reverse=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    for width in (390, 1280):
        drawn = subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={folder / 'chromium'}", f"--window-size={width},900",
                "--virtual-time-budget=10000", "--dump-dom", (folder / "f.html").as_uri(),
            ],
            capture_output=True, text=True, timeout=120, check=True,
        ).stdout  # fmt: skip
        assert drawn.count('class="marks"') == 1
