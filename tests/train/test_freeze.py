"""Freezing schedules: what moves in each part of a training, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from kollama2.errors import BadUsage
from kollama2.model.card import Card, Vocabulary, write_card
from kollama2.model.load import load_model
from kollama2.train.freeze import PHASES, Freezing
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests.train.test_onto import grown_base, tuned


def moved(before: Any, after: Any) -> set[str]:
    """Which parts of a model differ: tables by rows, layers by their number."""
    found = set()
    for (name, old), (_, new) in zip(
        before.named_parameters(), after.named_parameters(), strict=True
    ):
        if "embed_tokens" in name or "lm_head" in name:
            table = "embed" if "embed_tokens" in name else "head"
            differ = (old != new).any(1)
            if differ[:384].any():
                found.add(table)
            if differ[384:448].any():
                found.add(f"new-{table}")
        elif not torch.equal(old, new):
            found.add(name.split(".")[2] if "layers" in name else "norm")
    return found


@pytest.mark.parametrize(
    ("freezing", "expected"),
    [
        ("new-rows", {"new-embed", "new-head"}),
        ("two-by-two", {"embed", "new-embed", "head", "new-head", "0", "1"}),
        ("rows-then-all", {"embed", "new-embed", "head", "new-head", "0", "1", "norm"}),
    ],
)
def test_what_moves(freezing: str, expected: set[str], tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=False)
    # Weight decay would move rows whose gradient is merely zero.
    after = tuned(larger, tmp_path, method="full", freezing=freezing, steps=6, weight_decay=0.1)
    found = moved(load_model(larger, device="cpu"), load_model(after, device="cpu"))
    assert found - {"norm"} == expected - {"norm"}
    assert ("norm" in found) == ("norm" in expected)


def parts(network: Any, freezing: Freezing, step: int) -> set[str]:
    """What gets a gradient in a step."""
    freezing.begin(step)
    network(torch.tensor([[1, 5, 390, 7]])).logits.square().sum().backward()
    freezing.end_step(step)
    found = set()
    for one in freezing.tensors:
        grad = one.weight.grad
        if one.table is None:
            found |= {"body"} if grad is not None else set()
        elif grad is not None:
            found |= {one.table} if grad[:384].any() else set()
            found |= {f"new-{one.table}"} if grad[384:448].any() else set()
        one.weight.grad = None
    return found


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_seven_stages_of_eeve(method: str, tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=False)
    network = prepare(larger, TrainSettings(steps=14, method=method), "cpu")
    freezing = Freezing(network, larger, "eeve", 14)
    new, every = {"new-embed", "new-head"}, {"embed", "new-embed", "head", "new-head", "body"}
    seven = [
        {"new-embed"},
        {"new-head"},
        new,
        {"head", "new-head"},
        {"new-embed", "head", "new-head"},
        every,
        {"body"},
    ]
    assert len(PHASES["eeve"]) == 7
    assert [parts(network, freezing, step) for step in range(14)] == [
        stage for stage in seven for _ in range(2)
    ]


def test_tied_models_have_three_stages(tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=True)
    network = prepare(larger, TrainSettings(steps=3, method="full"), "cpu")
    freezing = Freezing(network, larger, "eeve", 3)
    found = [parts(network, freezing, step) for step in range(3)]
    assert found == [{"new-embed"}, {"embed", "new-embed", "body"}, {"body"}]


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    pristine, larger = grown_base(tmp_path, tied=False)
    network = prepare(pristine, TrainSettings(steps=1, method="full"), "cpu")
    with pytest.raises(BadUsage, match="never grew"):
        Freezing(network, pristine, "eeve", 7)
    write_card(pristine, Card(vocabulary=Vocabulary(procedure="prune", first=384, new=0, size=384)))
    with pytest.raises(BadUsage, match="never grew"):
        Freezing(network, pristine, "eeve", 7)
    network = prepare(larger, TrainSettings(steps=1, train_embeddings=False), "cpu")
    with pytest.raises(BadUsage, match="set train_embeddings: true"):
        Freezing(network, larger, "eeve", 7)
