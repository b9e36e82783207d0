"""The loop learns by every method; how it is cut or interrupted changes nothing."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kollama2.engine.profile import Resources
from kollama2.errors import BadData, BadUsage
from kollama2.train.attention import by_document
from kollama2.train.batches import BatchPlan, Rows
from kollama2.train.loop import Loop, train
from kollama2.train.prepare import prepare
from kollama2.train.record import read
from kollama2.train.settings import TrainSettings
from kollama2.train.trainer import Diverged
from tests.train.conftest import Progress, silent, some_ids, write_rows

METHODS = ["full", "lora", "qlora"]


def settings(**changes: Any) -> TrainSettings:
    values = {"method": "full", "lr": 3e-3, "steps": 6, "batch": 8, "warmup": 0.1, **changes}
    return TrainSettings(**values)


def run(
    chosen: TrainSettings,
    model: Path,
    rows: Path,
    folder: Path,
    progress: Progress = silent,
    **changes: Any,
) -> dict[str, Any]:
    return train(
        chosen,
        model=model,
        rows=rows,
        out=folder,
        scratch=folder / "scratch",
        resources=Resources(device="cpu", **changes),
        progress=progress,
    )


def weights(folder: Path) -> str:
    (path,) = (folder / "model").glob("*.safetensors")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def curve(folder: Path) -> list[dict[str, Any]]:
    """The lines without what the clock says."""
    lines = read(folder / "metrics.jsonl")
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


@pytest.mark.parametrize("method", METHODS)
def test_loss_falls_and_figures_add_up(
    method: str, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    calls: list[tuple[Any, ...]] = []
    answer = run(
        settings(method=method, lr=1e-2),
        tiny_model,
        rows,
        tmp_path / "out",
        lambda *a, **k: calls.append((*a, *sorted(k))),
    )
    lines = read(tmp_path / "out" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.2
    assert calls == [
        (0, 0, "loading the model"),
        (0, 6, "steps"),
        *((k, 6, "steps", "loss", "tokens_per_second") for k in range(1, 7)),
    ]
    # 48 rows are six steps of eight: one epoch.
    table = Rows(rows)
    assert answer["steps"] == 6
    assert answer["epochs"] == 1
    assert answer["tokens"] == table.lengths.sum()
    assert answer["bytes"] == table.bytes.sum()
    assert answer["ko_bytes"] == table.ko_bytes.sum()
    assert answer["trained_tokens"] == sum(n - n // 2 for n in table.lengths.tolist())
    layers, head, vectors = 2 * (4 * 64 * 64 + 3 * 64 * 128), 384 * 64, 5 * 64
    adapter = 0 if method == "full" else 2 * 16 * (4 * (64 + 64) + 3 * (64 + 128))
    assert answer["total_parameters"] == layers + 2 * head + vectors + adapter
    assert answer["trainable_parameters"] == (adapter or layers + 2 * head + vectors)
    each = 6 if method == "full" else 4
    assert answer["flops"] == (
        (each * layers + 6 * adapter) * answer["tokens"] + each * head * answer["trained_tokens"]
    )
    card = json.loads((tmp_path / "out" / "model" / "kollama2.json").read_text())
    assert card["method"] == method
    assert card["template"] == "llama2"
    assert card["quantization"] == ("nf4" if method == "qlora" else None)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "metrics.jsonl",
        "model",
        "scratch",
    ]
    assert [p.name for p in (tmp_path / "out" / "scratch").iterdir()] == ["checkpoint-6"]


@pytest.mark.parametrize(
    "changes",
    [
        {"dora": True},
        {"rslora": True, "targets": ("q_proj", "v_proj")},
        {"train_embeddings": True},
        {"dtype": "bfloat16"},
        {"method": "qlora", "dora": True, "dtype": "bfloat16"},
        {"method": "full", "dtype": "bfloat16", "schedule": "wsd"},
    ],
)
def test_options_train(
    changes: dict[str, Any], tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    chosen = settings(**{"method": "lora", "lr": 1e-2, "steps": 4, **changes})
    run(chosen, tiny_model, rows, tmp_path / "out", gradient_checkpointing=True)
    losses = [line["loss"] for line in read(tmp_path / "out" / "metrics.jsonl")]
    assert losses[-1] < losses[0] - 0.05


def gradients(chosen: TrainSettings, model: Path, rows: Path, folder: Path, **changes: Any) -> Any:
    network = prepare(model, chosen, "cpu")
    plan = BatchPlan(Rows(rows), chosen)
    loop = Loop(chosen, plan, network, Resources(device="cpu", **changes), folder)
    with by_document(network):
        loss = loop.training_step(network, loop.batch(0))
    return loss, {n: p.grad for n, p in network.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("changes", [{"micro_batch_tokens": 1}, {"gradient_checkpointing": True}])
def test_micro_batches_change_nothing(
    changes: dict[str, Any], tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    loss, whole = gradients(settings(), tiny_model, rows, tmp_path)
    other, cut = gradients(settings(), tiny_model, rows, tmp_path, **changes)
    assert loss.item() == pytest.approx(other.item(), rel=1e-6)
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, atol=1e-6, rtol=0)


def test_packing_equals_no_packing(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    """All rows in one step, packed or not: the same loss and gradient."""
    plain, packed = settings(batch=48, steps=1), settings(batch=99, epochs=1, steps=None)
    loss, wanted = gradients(plain, tiny_model, rows, tmp_path)
    packed = packed.model_copy(update={"packing": True, "max_length": 64})
    other, found = gradients(packed, tiny_model, rows, tmp_path)
    assert loss.item() == pytest.approx(other.item(), rel=1e-6)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=0)


class Killed(Exception):
    """Stands for the end of the process."""


def killer(step: int) -> Progress:
    def progress(done: int, *_: object, **__: object) -> None:
        if done == step:
            raise Killed

    return progress


DROPPING = {"dropout": 0.2, "schedule": "linear"}


@pytest.mark.parametrize("method", METHODS)
def test_resumes_to_the_bit(method: str, tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    chosen = settings(method=method, **({} if method == "full" else DROPPING))
    run(chosen, tiny_model, rows, tmp_path / "whole")
    often = {"checkpoint_seconds": 1e-9}
    for step in (3, 5):
        with pytest.raises(Killed):
            run(chosen, tiny_model, rows, tmp_path / "cut", killer(step), **often)
    kept = sorted(p.name for p in (tmp_path / "cut" / "scratch").iterdir())
    assert kept == ["checkpoint-3", "checkpoint-4"]
    # Damage the newest: the one before it serves.
    damaged = tmp_path / "cut" / "scratch" / "checkpoint-4" / "weights.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    first: list[int] = []
    run(chosen, tiny_model, rows, tmp_path / "cut", lambda done, *_, **__: first.append(done))
    assert first == [0, 3, 4, 5, 6]  # loading, where it goes on, its steps
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


def test_a_finished_training_trains_nothing(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    before = run(settings(), tiny_model, rows, tmp_path / "out")
    digest = weights(tmp_path / "out")
    calls: list[int] = []
    after = run(
        settings(), tiny_model, rows, tmp_path / "out", lambda done, *_, **__: calls.append(done)
    )
    assert calls == [0, 6]
    assert after == before
    assert weights(tmp_path / "out") == digest


def test_scratch_of_another_training_is_refused(
    tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    run(settings(steps=1), tiny_model, rows, tmp_path / "out")
    with pytest.raises(BadUsage, match="other settings or rows"):
        run(settings(steps=1, lr=1e-5), tiny_model, rows, tmp_path / "out")


def test_no_number_stops_with_the_rows(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    chosen = settings(lr=1e30, steps=8, schedule="constant", warmup=0, max_grad_norm=0)
    with pytest.raises(Diverged, match=r"step \d: the .* is (nan|inf)") as caught:
        run(chosen, tiny_model, rows, tmp_path / "out", checkpoint_seconds=1e-9)
    lines = read(tmp_path / "out" / "metrics.jsonl")
    assert all(math.isfinite(line["loss"]) for line in lines)
    step = len(lines)
    names = sorted({p.row for p in BatchPlan(Rows(rows), chosen).step(step)})
    assert str(caught.value).endswith(", ".join(f"row-{k}" for k in names))
    assert not (tmp_path / "out" / "model").exists()
    newest = max(p.name for p in (tmp_path / "out" / "scratch").glob("checkpoint-*"))
    assert newest == f"checkpoint-{step}"


def test_weights_without_numbers_are_never_kept(
    tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    chosen = settings(lr=1e39, steps=1, schedule="constant", warmup=0)
    with pytest.raises(Diverged, match="step 1: the largest weight is nan; lower lr"):
        run(chosen, tiny_model, rows, tmp_path / "out")
    assert list((tmp_path / "out" / "scratch").iterdir()) == []


def test_rows_must_fit_the_model(tiny_model: Path, tmp_path: Path) -> None:
    foreign = write_rows(tmp_path / "foreign", [[1, 2, 384]])
    with pytest.raises(BadData, match=r"token 384, but the model embeds 384"):
        run(settings(), tiny_model, foreign, tmp_path / "out")
    mute = write_rows(tmp_path / "mute", [[1, 2, 3]], [[-100, -100, -100]])
    with pytest.raises(BadData, match="there is no loss"):
        run(settings(), tiny_model, mute, tmp_path / "out")
    long = write_rows(tmp_path / "long", some_ids(2, low=600, high=601))
    with pytest.raises(BadData, match="set max_length to 512"):
        run(settings(), tiny_model, long, tmp_path / "out")
    run(settings(steps=1, max_length=512), tiny_model, long, tmp_path / "out")


CHILD = """
import os, signal, sys
from pathlib import Path
from kollama2.engine.profile import Resources
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings

settings, model, rows, out, step = sys.argv[1:]
def progress(done, *_, **__):
    if done == int(step):
        os.kill(os.getpid(), signal.SIGKILL)
train(TrainSettings.model_validate_json(settings), model=Path(model), rows=Path(rows),
      out=Path(out), scratch=Path(out) / "scratch",
      resources=Resources(device="cpu", checkpoint_seconds=1e-9), progress=progress)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_resumes_to_the_bit_after_sigkill(
    method: str, tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    chosen = settings(method=method, **({} if method == "full" else DROPPING))
    run(chosen, tiny_model, rows, tmp_path / "whole")
    step = int(np.random.default_rng().integers(1, 6))
    given = [chosen.model_dump_json(), tiny_model, rows, tmp_path / "cut", step]
    ended = subprocess.run([sys.executable, "-c", CHILD, *map(str, given)], check=False)
    assert ended.returncode == -9
    run(chosen, tiny_model, rows, tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole"), f"killed at step {step}"
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    shutil.rmtree(tmp_path / "cut")
