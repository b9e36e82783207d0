"""A training's settings are closed, and what they refuse they explain."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from kollama2.train.schedule import factor
from kollama2.train.settings import TrainSettings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "one budget of epochs, bytes, korean_bytes, steps; found none"),
        ({"epochs": 1, "steps": 5}, "found epochs and steps"),
        ({"steps": 1, "method": "full", "rank": 8, "dora": True}, "remove rank, dora"),
        ({"steps": 1, "targets": ["q_proj", "lm_head"]}, "use train_embeddings"),
        ({"steps": 1, "targets": []}, "targets is empty"),
        ({"steps": 1, "schedule": "wsd", "warmup": 0.5, "decay": 0.6}, "exceed"),
        ({"steps": 1, "schedule": "inverse_sqrt", "warmup": 0}, "warmup is 0"),
        ({"steps": 1, "learning_rate": 1}, "Extra inputs are not permitted"),
        ({"steps": 1, "lr": 0}, "greater than 0"),
    ],
)
def test_refuses(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainSettings(**values)


def test_needs_no_torch() -> None:
    code = (
        "import sys, kollama2.train.settings, kollama2.train.schedule;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ("wsd", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1 - 0.5**0.5]),
        ("inverse_sqrt", [0.5, 1, 1, *((2 / step) ** 0.5 for step in range(3, 10))]),
    ],
)
def test_schedule(schedule: Any, expected: list[float]) -> None:
    settings = TrainSettings(steps=10, schedule=schedule, warmup=0.2)
    assert [factor(k, 10, settings) for k in range(10)] == pytest.approx(expected)


def test_cosine_is_half_in_the_middle() -> None:
    settings = TrainSettings(steps=100, schedule="cosine", warmup=0)
    assert factor(0, 100, settings) == 1
    assert factor(50, 100, settings) == pytest.approx(0.5)
    assert 0 < factor(99, 100, settings) < 0.001
