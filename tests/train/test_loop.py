"""The loop learns, by every method, and writes a model folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.profile import Resources
from kollama2.train.loop import train
from kollama2.train.record import read
from kollama2.train.settings import TrainSettings
from tests.train.conftest import silent


def settings(**changes: Any) -> TrainSettings:
    values = {"method": "full", "lr": 3e-3, "steps": 8, "batch": 8, "warmup": 0.1, **changes}
    return TrainSettings(**values)


def run(
    chosen: TrainSettings, model: Path, rows: Path, folder: Path, **changes: Any
) -> dict[str, Any]:
    return train(
        chosen,
        model=model,
        rows=rows,
        out=folder,
        scratch=folder / "scratch",
        resources=Resources(device="cpu", **changes),
        progress=silent,
    )


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_loss_falls(method: str, tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    answer = run(settings(method=method, lr=1e-2), tiny_model, rows, tmp_path / "out")
    lines = read(tmp_path / "out" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.2
    assert answer["steps"] == 8
    card = json.loads((tmp_path / "out" / "model" / "kollama2.json").read_text())
    assert card["method"] == method
    assert card["template"] == "llama2"
