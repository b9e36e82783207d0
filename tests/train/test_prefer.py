"""Preference tuning: the chosen answers win, the reference counts, settings are closed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kollama2.engine.profile import Resources
from kollama2.errors import BadData, BadUsage
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from kollama2.train.prefer import PairIds, prefer
from kollama2.train.preference_settings import PreferSettings
from tests.train.conftest import silent

PAIRS = [
    PairIds(prompt_ids=[1, 5 + n, 9], chosen_ids=[20, 21, 2], rejected_ids=[30, 31, 32, 2])
    for n in range(8)
]


def tuned(
    model: Path, out: Path, progress: Any = silent, seconds: float = 60, **changes: Any
) -> dict[str, Any]:
    values = {"lr": 5e-3, "steps": 6, "batch": 4, "rank": 4, "warmup": 0, **changes}
    settings = PreferSettings.model_validate(values)
    return prefer(
        settings,
        PAIRS,
        model=model,
        out=out,
        scratch=out.parent / f"scratch-{out.name}",
        template="llama2",
        resources=Resources(device="cpu", checkpoint_seconds=seconds),
        progress=progress,
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
    answer = tuned(tiny_model, tmp_path / "out", **changes)
    assert answer["steps"] == 6
    assert answer["pairs"] == 8
    lines = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    # At the start model and reference are one, so the loss is ln 2 and no answer is ahead.
    assert lines[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert lines[-1]["loss"] < 0.65
    assert answer["accuracy"] == 1.0
    assert margin(tmp_path / "out/model") > margin(tiny_model) + 1
    assert read_card(tmp_path / "out/model").template == "llama2"
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"model", "metrics.jsonl"}


def test_it_is_reproducible(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tuned(tiny_model, tmp_path / name, steps=2)
    first, second = (
        load_file(tmp_path / name / "model/adapter_model.safetensors") for name in ("a", "b")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


class Killed(Exception):
    """What a kill is here."""


@pytest.mark.parametrize("method", ["full", "lora"])
def test_resumes_to_the_bit(method: str, tiny_model: Path, tmp_path: Path) -> None:
    # Three epochs of two steps; one kill within an epoch, one at the end of one.
    changes = {"method": method, "lr": 1e-3, "schedule": "cosine", "warmup": 0.2}
    whole = tuned(tiny_model, tmp_path / "whole", **changes)

    def kill(at: int) -> Any:
        def progress(done: float, *_: Any, **__: Any) -> None:
            if done == at:
                raise Killed

        return progress

    for at in (4, 6):
        with pytest.raises(Killed):
            tuned(tiny_model, tmp_path / "cut", kill(at), seconds=1e-6, **changes)
    done = []
    cut = tuned(tiny_model, tmp_path / "cut", lambda step, *_, **__: done.append(step), **changes)
    assert done == [0, 6]  # loading, then its last step
    assert cut == whole
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "model").glob("*.safetensors")}
        for name in ("whole", "cut")
    )
    assert first == second
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert lines[0] == lines[1]
    with pytest.raises(BadUsage, match="belongs to a training with other settings"):
        tuned(tiny_model, tmp_path / "cut", **{**changes, "lr": 2e-3})


def test_what_it_cost(tiny_model: Path, tmp_path: Path) -> None:
    # 64 wide, 2 blocks: 4 * 64 * 64 and 3 * 64 * 128 weights each; 384 rows in the head.
    weights = 2 * (4 * 64 * 64 + 3 * 64 * 128) + 384 * 64
    # Rank 4 on seven layers with 64 and 64, 64 and 128 sides.
    adapter = 2 * 4 * (4 * 128 + 3 * 192)
    tokens = 13  # of a pair: 3 + 3 and 3 + 4
    lora = tuned(tiny_model, tmp_path / "lora", steps=2)
    assert lora["flops"] == (6 * weights + 6 * adapter) * 2 * 4 * tokens
    full = tuned(tiny_model, tmp_path / "full", steps=2, method="full", lr=1e-3)
    assert full["flops"] == 6 * weights * 2 * 4 * tokens + 2 * weights * 8 * tokens


def test_bad_settings(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one budget"):
        PreferSettings()
    with pytest.raises(BadData, match="no preference pairs"):
        prefer(
            PreferSettings(steps=1), [], model=tiny_model, out=tmp_path, scratch=tmp_path,
            template="llama2", resources=Resources(), progress=silent,
        )  # fmt: skip
