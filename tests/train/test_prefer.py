"""Preference tuning: the chosen answers win, the reference counts, settings are closed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.train.load import card, load_model
from kollama2.train.prefer import PairIds, prefer
from kollama2.train.preference_settings import PreferSettings
from tests.train.conftest import silent

PAIRS = [
    PairIds(prompt_ids=[1, 5 + n, 9], chosen_ids=[20, 21, 2], rejected_ids=[30, 31, 32, 2])
    for n in range(8)
]


def tuned(model: Path, out: Path, **changes: Any) -> dict[str, Any]:
    values = {"lr": 5e-3, "steps": 6, "batch": 4, "rank": 4, "warmup": 0, **changes}
    settings = PreferSettings.model_validate(values)
    return prefer(
        settings,
        PAIRS,
        model=model,
        out=out,
        template="llama2",
        resources=Resources(device="cpu"),
        progress=silent,
    )


def margin(folder: Path) -> float:
    """How much likelier the chosen answer is, in nats."""
    network = load_model(folder)
    scores = []
    for ids in ("chosen_ids", "rejected_ids"):
        row = torch.tensor([PAIRS[0]["prompt_ids"] + PAIRS[0][ids]])  # type: ignore[literal-required]
        with torch.no_grad():
            logs = network(row).logits.log_softmax(-1)[0, 2:-1]
        scores.append(float(logs.gather(1, row[0, 3:, None]).sum()))
    return scores[0] - scores[1]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_chosen_answers_win(method: str, tiny_model: Path, tmp_path: Path) -> None:
    changes = {"method": method} if method == "lora" else {"method": method, "lr": 1e-3}
    answer = tuned(tiny_model, tmp_path, **changes)
    assert answer["steps"] == 6
    assert answer["pairs"] == 8
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    # At the start model and reference are one, so the loss is ln 2 and no answer is ahead.
    assert lines[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert lines[-1]["loss"] < 0.65
    assert answer["accuracy"] == 1.0
    assert margin(tmp_path / "model") > margin(tiny_model) + 1
    assert card(tmp_path / "model")["template"] == "llama2"
    assert {one.name for one in tmp_path.iterdir()} == {"model", "metrics.jsonl"}


def test_it_is_reproducible(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tuned(tiny_model, tmp_path / name, steps=2)
    first, second = (
        load_file(tmp_path / name / "model/adapter_model.safetensors") for name in ("a", "b")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_bad_settings(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one budget"):
        PreferSettings()
    with pytest.raises(BadData, match="no preference pairs"):
        prefer(
            PreferSettings(steps=1), [], model=tiny_model, out=tmp_path, template="llama2",
            resources=Resources(), progress=silent,
        )  # fmt: skip
