"""Source-shielded updates and groups of the optimiser: what stays still, and what moves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kollama2.engine.profile import Resources
from kollama2.errors import BadUsage
from kollama2.train.batches import BatchPlan, Rows
from kollama2.train.loop import Loop, train
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from kollama2.train.shield import shield
from tests.train.conftest import silent, some_ids, write_rows
from tests.train.test_loop import run, settings

LAYER = "model.layers.0.mlp.gate_proj.weight"


@pytest.fixture
def english(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "english", some_ids(20, seed=5))


def columns_moved(before: Path, after: Path) -> torch.Tensor:
    old, new = (load_file(one)[LAYER] for one in (before, after))
    return (old != new).any(0)


def test_frozen_columns_stay_still_even_with_decay(
    tiny_model: Path, rows: Path, english: Path, tmp_path: Path
) -> None:
    answer = train(
        settings(shield=0.5, weight_decay=0.1, steps=3),
        model=tiny_model, rows=rows, out=tmp_path / "out", scratch=tmp_path / "scratch",
        resources=Resources(device="cpu"), progress=silent, calibration=english,
    )  # fmt: skip
    moved = columns_moved(
        tiny_model / "model.safetensors", tmp_path / "out/model/model.safetensors"
    )
    assert int(moved.sum()) == 32  # of 64 columns
    assert answer["shielded_layers"] == 14
    assert answer["shielded_columns"] == 2 * (6 * 32 + 64)  # down_proj has 128 columns
    tables = load_file(tmp_path / "out/model/model.safetensors")
    old = load_file(tiny_model / "model.safetensors")
    assert not torch.equal(tables["lm_head.weight"], old["lm_head.weight"])


def test_the_columns_with_the_highest_score_are_frozen(tiny_model: Path, english: Path) -> None:
    network = prepare(tiny_model, settings())
    seen: dict[str, torch.Tensor] = {}
    layer = network.get_submodule(LAYER.removesuffix(".weight"))
    hook = layer.register_forward_pre_hook(lambda _, x: seen.update(x=x[0].reshape(-1, 64)))
    table = Rows(english)
    shield(network, table, 0.25, micro_batch_tokens=10**6)
    hook.remove()
    scores = seen["x"].norm(dim=0) * layer.weight.abs().sum(0)
    (layer.weight.sum() * 1.0).backward()
    frozen = (layer.weight.grad == 0).all(0)
    assert set(frozen.nonzero()[:, 0].tolist()) == set(
        scores.argsort(descending=True)[:16].tolist()
    )


def test_a_shield_needs_rows_and_full_training(
    tiny_model: Path, rows: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadUsage, match=r"shield is 0\.5, but no calibration rows"):
        run(settings(shield=0.5), tiny_model, rows, tmp_path)
    with pytest.raises(ValueError, match="shield freezes columns of weights, and lora trains none"):
        TrainSettings(method="lora", shield=0.5, steps=1)


def rates(chosen: TrainSettings, tiny_model: Path, rows: Path, tmp_path: Path) -> dict[str, float]:
    network = prepare(tiny_model, chosen)
    plan = BatchPlan(Rows(rows), chosen)
    loop = Loop(chosen, plan, network, Resources(device="cpu"), tmp_path)
    optimizer = loop.create_optimizer()
    names = {id(w): name for name, w in network.named_parameters()}
    found = {names[id(w)]: g["lr"] for g in optimizer.param_groups for w in g["params"]}
    assert len(found) == len([w for w in network.parameters() if w.requires_grad])
    return found


def test_tables_have_their_own_rate(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    found = rates(settings(lr=1e-3, embedding_lr=1e-4), tiny_model, rows, tmp_path)
    tables = {name for name, rate in found.items() if rate == 1e-4}
    assert tables == {"model.embed_tokens.weight", "lm_head.weight"}
    assert set(found.values()) == {1e-3, 1e-4}
    lora = settings(method="lora", lr=1e-3, embedding_lr=1e-4, train_embeddings=True)
    found = rates(lora, tiny_model, rows, tmp_path)
    assert {"embed" in n or "lm_head" in n for n, rate in found.items() if rate == 1e-4} == {True}
    assert {"lora_" in n for n, rate in found.items() if rate == 1e-3} == {True}
    with pytest.raises(ValueError, match="embedding_lr has no effect"):
        TrainSettings(method="lora", embedding_lr=1e-4, steps=1)


def test_the_slow_tables_move_less(tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    def moved(folder: str, **changes: Any) -> float:
        run(settings(**changes), tiny_model, rows, tmp_path / folder)
        new = load_file(tmp_path / folder / "model/model.safetensors")["lm_head.weight"]
        old = load_file(tiny_model / "model.safetensors")["lm_head.weight"]
        return float(np.abs((new - old).numpy()).mean())

    assert moved("slow", embedding_lr=3e-5) < 0.05 * moved("fast")
