"""The probe finds the rate that learns, and survives one that explodes."""

from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.train.probe import probe
from kollama2.train.settings import TrainSettings
from tests.train.conftest import some_ids, write_rows


def test_the_best_rate(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    calls: list[tuple[Any, ...]] = []
    settings = TrainSettings(method="full", epochs=4, batch=8, warmup=0, schedule="constant")
    given: dict[str, Any] = {
        "model": tiny_model,
        "rows": rows,
        "scratch": tmp_path / "scratch",
        "resources": Resources(device="cpu"),
        "share": 0.25,
    }
    found = probe(
        settings.model_copy(update={"max_grad_norm": 0.0}),
        [1e30, 1e-2, 1e-6],
        **given,
        progress=lambda *a, **_: calls.append(a),
    )
    assert found["lr"] == 1e-2
    assert found["losses"]["1e-06"] > found["losses"]["0.01"]
    assert found["losses"]["1e+30"] is None
    begun = [(k, 12, "steps") for k in range(9)]
    assert calls[:10] == [*begun[:5], *begun[4:]]  # before and after the steps of each rate
    again = probe(settings, [1e30, 1e-2, 1e-6], **given, progress=lambda *_, **__: 1 / 0)
    assert again == found


def test_too_few_rows(tiny_model: Path, tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few", some_ids(31))
    with pytest.raises(BadData, match="has 31 rows; a probe needs at least 32"):
        probe(
            TrainSettings(steps=1),
            [1e-3],
            model=tiny_model,
            rows=few,
            scratch=tmp_path / "scratch",
            resources=Resources(device="cpu"),
            progress=lambda *_, **__: None,
        )
