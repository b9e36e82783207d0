"""Averages of weights: which moments, the same after an interruption, and what is written."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kollama2.train import checkpoint
from kollama2.train.average import moments
from kollama2.train.loop import Loop
from tests.train.conftest import silent
from tests.train.test_loop import run, settings, weights


def test_moments_lie_evenly_in_the_last_fifth() -> None:
    assert moments(100, 5) == [80, 85, 90, 95, 100]
    assert moments(10, 2) == [8, 10]
    assert moments(3, 5) == [3]  # a short training has fewer


def after_each_step(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, rows: Path, folder: Path, **changes: Any
) -> list[torch.Tensor]:
    """One weight after each step of a training, first the one it began with."""
    seen = [load_file(tiny_model / "model.safetensors")["model.norm.weight"].clone()]
    step = Loop.training_step

    def watched(self: Loop, model: Any, *more: Any, **named: Any) -> Any:
        if self.state.global_step:
            seen.append(model.state_dict()["model.norm.weight"].clone())
        return step(self, model, *more, **named)

    monkeypatch.setattr(Loop, "training_step", watched)
    run(settings(**changes), tiny_model, rows, folder)
    monkeypatch.undo()
    return seen


def test_the_last_moments_are_averaged_with_equal_shares(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    seen = after_each_step(
        monkeypatch, tiny_model, rows, tmp_path / "a", steps=10, average="last", last=2
    )
    run(settings(steps=10), tiny_model, rows, tmp_path / "plain")
    end = load_file(tmp_path / "plain/model/model.safetensors")["model.norm.weight"]
    written = load_file(tmp_path / "a/model/model.safetensors")["model.norm.weight"]
    torch.testing.assert_close(written, (seen[8] + end) / 2, rtol=0, atol=1e-6)
    assert not torch.equal(written, end)


def test_the_exponential_average_by_hand(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    seen = after_each_step(
        monkeypatch, tiny_model, rows, tmp_path / "a", steps=4, average="ema", ema=0.5
    )
    run(settings(steps=4), tiny_model, rows, tmp_path / "plain")
    seen.append(load_file(tmp_path / "plain/model/model.safetensors")["model.norm.weight"])
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.5 * expected + 0.5 * weight
    written = load_file(tmp_path / "a/model/model.safetensors")["model.norm.weight"]
    torch.testing.assert_close(written, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("average", ["ema", "last"])
def test_an_interrupted_training_has_the_same_average(
    average: str, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    chosen = settings(steps=10, average=average, last=3)
    run(chosen, tiny_model, rows, tmp_path / "whole")

    def stops(done: int, *_: Any, **__: Any) -> None:
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(chosen, tiny_model, rows, tmp_path / "cut", stops, checkpoint_seconds=1e-9)
    folder, _ = checkpoint.newest(
        tmp_path / "cut/scratch", {"settings": chosen.model_dump(mode="json"), "rows": 48}
    ) or pytest.fail("no checkpoint")
    assert checkpoint.load_average(folder)
    run(chosen, tiny_model, rows, tmp_path / "cut", silent)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
