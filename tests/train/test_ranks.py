"""Several processes under torchrun train what one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kollama2.train.ranks import Ranks, together
from kollama2.train.record import read
from tests.train.test_loop import run, settings

CHILD = """
import json, os, sys
from pathlib import Path
from kollama2.engine.profile import Resources
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings

chosen, model, rows, out, stop = sys.argv[1:]
def progress(done, *_, **__):
    if done == int(stop):
        os._exit(3)
answer = train(TrainSettings.model_validate_json(chosen), model=Path(model), rows=Path(rows),
    out=Path(out), scratch=Path(out) / "scratch",
    resources=Resources(device="cpu", micro_batch_tokens=512, checkpoint_seconds=1e-9),
    progress=progress)
if answer:
    Path(out, "answer.json").write_text(json.dumps(answer))
"""


def launch(folder: Path, *given: object, size: int = 2) -> int:
    (folder / "child.py").write_text(CHILD, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={size}", str(folder / "child.py"), *map(str, given)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode


def loss_and_rate(folder: Path) -> list[tuple[Any, ...]]:
    return [(line["step"], line["tokens"], line["lr"]) for line in read(folder / "metrics.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_learn_what_one_learns(
    method: str, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    chosen = settings(method=method)
    alone = run(chosen, tiny_model, rows, tmp_path / "one")
    given = (chosen.model_dump_json(), tiny_model, rows, tmp_path / "two")
    # Killed in its third step, then continued by both.
    assert launch(tmp_path, *given, 3) != 0
    assert not (tmp_path / "two" / "model").exists()
    assert launch(tmp_path, *given, -1) == 0
    answer = json.loads((tmp_path / "two" / "answer.json").read_text())
    assert loss_and_rate(tmp_path / "two") == loss_and_rate(tmp_path / "one")
    for line, same in zip(
        read(tmp_path / "two" / "metrics.jsonl"), read(tmp_path / "one" / "metrics.jsonl"),
        strict=True,
    ):  # fmt: skip
        assert line["loss"] == pytest.approx(same["loss"], abs=1e-5)
    assert answer["flops"] == alone["flops"]
    (two,) = (tmp_path / "two" / "model").glob("*.safetensors")
    (one,) = (tmp_path / "one" / "model").glob("*.safetensors")
    expected = load_file(one)
    for name, weight in load_file(two).items():
        torch.testing.assert_close(weight, expected[name], atol=2e-4, rtol=1e-3)


def test_alone_there_is_nothing_to_wait_for() -> None:
    with together("cpu") as ranks, ranks.in_turn():
        assert (ranks.rank, ranks.size, ranks.first) == (0, 1, True)
    assert Ranks(1, 3).mine([0, 1, 2, 3, 4]) == [1, 4]
    assert Ranks(2, 3).mine([0, 1]) == []
