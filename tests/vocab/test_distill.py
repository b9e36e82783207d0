"""Distillation moves new rows alone, to where the frozen model reads them like the old tokens."""

from pathlib import Path
from typing import Any

import pytest
import torch

from kollama2.errors import BadData
from kollama2.model.load import load_model
from kollama2.vocab.align import Aligned
from kollama2.vocab.distill import Distilled, distill, states_of
from kollama2.vocab.embed import start
from kollama2.vocab.settings import InitSettings
from tests.family_models import FAMILIES

IDS = [384, 385]
OLD = [[20, 21, 22], [30, 31]]


def texts(count: int, repeat: int = 1) -> list[Aligned]:
    """The two new pieces between other tokens, beside what they replace."""
    found = []
    for number in range(count):
        old, new, ends = list[int](), list[int](), list[tuple[int, int]]()
        for turn in range(repeat):
            for before, one in ((40 + (number + turn) % 50, 0), (100 + number % 70, 1)):
                old += [before, *OLD[one]]
                new += [before, IDS[one]]
                ends += [(len(old) - len(OLD[one]) - 1, len(new) - 2), (len(old) - 1, len(new) - 1)]
        found.append(Aligned(old, new, ends))
    return found


def distilled(model: Any, pairs: list[Aligned], **settings: Any) -> Distilled:
    chosen = InitSettings(init="distill", **{"batch": 8, **settings})
    inputs, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    begin = start(inputs.data, outputs.data, OLD, OLD, chosen)
    return distill(model, IDS, begin, pairs, 1, chosen, lambda *_, **__: None)


@pytest.fixture
def model(tiny_model: Path) -> Any:
    network = load_model(tiny_model, dtype="float32", device="cpu")
    # A new model's rows are so small that every state is the same; those of a trained one are not.
    network.get_input_embeddings().weight.data *= 20
    return network.requires_grad_(False)


def test_the_error_falls_and_nothing_else_moves(model: Any) -> None:
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    found = distilled(model, texts(400))
    assert found.last < 0.5 * found.first
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    inputs = model.get_input_embeddings().weight
    begin = start(inputs, None, OLD, OLD, InitSettings()).embed
    assert (found.rows.embed - begin).abs().max() > 0.01
    # BOS and the seven old or four new tokens of each text.
    assert found.tokens == 400 * (8 + 5)


@pytest.mark.parametrize("family", ["gemma3_text", "llama"])
def test_the_teacher_is_the_model(family: str) -> None:
    model = FAMILIES[family]()
    ids = torch.randint(3, 384, (2, 20), generator=torch.Generator().manual_seed(0))
    rows = model.get_input_embeddings().weight.data[ids]
    with torch.no_grad():
        torch.testing.assert_close(
            states_of(model, rows), model.model(ids).last_hidden_state, rtol=0, atol=1e-6
        )


def test_every_row_learns_where_the_embeddings_multiply() -> None:
    model = FAMILIES["gemma3_text"]().requires_grad_(False)
    assert model.get_input_embeddings().padding_idx == 0
    rows = model.get_input_embeddings().weight.data[None, 5:9].clone().requires_grad_()
    states_of(model, rows).square().sum().backward()
    assert rows.grad is not None
    assert rows.grad.abs().sum(-1).min() > 0


def test_the_same_twice(model: Any) -> None:
    first, second = (distilled(model, texts(40)) for _ in range(2))
    assert torch.equal(first.rows.embed, second.rows.embed)
    assert first.rows.head is not None and second.rows.head is not None
    assert torch.equal(first.rows.head, second.rows.head)


def test_long_texts_are_read_in_parts(model: Any) -> None:
    whole = texts(20, repeat=10)
    assert len(whole[0].old) == 70
    found = distilled(model, whole, max_length=36)
    # Parts of 35 and 35 old tokens, 20 and 20 new ones, each behind a BOS.
    assert found.tokens == 20 * 2 * (36 + 21)
    assert distilled(model, whole, max_length=71).tokens == 20 * (71 + 41)


def test_nothing_to_distil_from(model: Any) -> None:
    with pytest.raises(BadData, match=r"no text of up to 2 tokens .* raise max_length"):
        distilled(model, [Aligned([5, 6], [384], [(1, 0)])], max_length=2)
    with pytest.raises(BadData, match="name another corpus"):
        distilled(model, [])
