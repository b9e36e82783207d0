"""Training through the tables: the losses and gradients of autograd, for every family."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from kollama2.model.adapter import quiet_peft
from kollama2.train import forward, tables
from kollama2.train.attention import by_document, side_by_side
from tests.family_models import FAMILIES

LENGTHS = (9, 5, 5)
SCALE = 1 / 12
# Their logits are scaled or capped (Granite, Gemma 2), or layers mix what stands side by side.
OTHERS = {"falcon_h1", "gemma2", "granite", "lfm2", "qwen3_5", "qwen3_5_text", "qwen3_next"}


def micro(vocabulary: int, padding: int | None) -> dict[str, Any]:
    """Three documents, the last of which has no label; a literal padding token among them."""
    torch.manual_seed(7)
    ids = torch.randint(3, vocabulary, (1, sum(LENGTHS)))
    ids[0, 3] = padding or 5
    positions = torch.tensor([0, 2, 3, 4, 7, 9, 10, 12])
    return {
        "input_ids": ids,
        "position_ids": torch.cat([torch.arange(n) for n in LENGTHS])[None],
        "lengths": LENGTHS,
        "positions": positions,
        "targets": ids[0, positions + 1],
    }


def gradients(model: Any, given: dict[str, Any], plain: bool) -> tuple[float, dict[str, Any]]:
    model.zero_grad()
    with by_document(model):
        loss = forward.learn(model, given, SCALE, plain)
        loss = loss + forward.learn(model, given, SCALE, plain)
    return float(loss), {
        name: None if weight.grad is None else weight.grad.clone()
        for name, weight in model.named_parameters()
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, one in expected.items():
        if one is not None:
            torch.testing.assert_close(found[name], one, rtol=2e-4, atol=1e-6, msg=name)


def is_plain(model: Any) -> bool:
    return side_by_side(model) and tables.plain(model, torch.device("cpu"))


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - OTHERS))
def test_gradients_of_every_family_are_those_of_autograd(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FAMILIES[family]().train()
    assert is_plain(model)
    assert model.training
    vocabulary = model.config.get_text_config().vocab_size
    monkeypatch.setitem(tables.ROOM, "cpu", 3 * vocabulary)
    given = micro(vocabulary, model.get_input_embeddings().padding_idx)
    usual, expected = gradients(model, given, plain=False)
    loss, found = gradients(model, given, plain=True)
    assert loss == pytest.approx(usual, rel=1e-6)
    assert_same(found, expected)


@pytest.mark.parametrize("family", sorted(OTHERS))
def test_a_model_with_something_between_its_parts_is_not_plain(family: str) -> None:
    assert not is_plain(FAMILIES[family]())


def test_a_head_with_a_bias_or_an_adapter_is_not_plain() -> None:
    model = FAMILIES["llama"]()
    model.lm_head = nn.Linear(64, 384)
    assert not is_plain(model)
    model = FAMILIES["llama"]()
    config = LoraConfig(target_modules=["lm_head"], task_type="CAUSAL_LM")
    with quiet_peft():
        assert not is_plain(get_peft_model(model, config))


def test_frozen_tables_get_no_gradient_and_adapters_that_of_autograd() -> None:
    torch.manual_seed(1)
    config = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    with quiet_peft():
        model = get_peft_model(FAMILIES["llama"](), config)
    assert is_plain(model)
    given = micro(384, None)
    _, expected = gradients(model, given, plain=False)
    _, found = gradients(model, given, plain=True)
    assert {name for name, one in found.items() if one is not None} == {
        name for name in found if ".lora_" in name
    }
    assert_same(found, expected)


def test_bfloat16_arithmetic_with_float32_masters_is_that_of_autograd() -> None:
    model = FAMILIES["llama"]().train()
    given = micro(384, None)
    with torch.autocast("cpu", torch.bfloat16):
        usual, expected = gradients(model, given, plain=False)
        loss, found = gradients(model, given, plain=True)
    assert loss == pytest.approx(usual, rel=1e-6)  # a head in float32 is off by 2e-5
    for name, one in expected.items():
        assert found[name].dtype == torch.float32
        cosine = functional.cosine_similarity(found[name].flatten(), one.flatten(), dim=0)
        assert float(cosine) > 0.99999, name


def test_never_more_logits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tables.ROOM, "cpu", 3 * 384)

    class Largest(TorchDispatchMode):
        rows = 0

        def __torch_dispatch__(
            self, op: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            answer = op(*args, **(kwargs or {}))
            if isinstance(answer, torch.Tensor) and answer.shape[-1:] == (384,) and answer.ndim > 1:
                self.rows = max(self.rows, answer.numel() // 384)
            return answer

    hidden, weight = torch.randn(8, 16), torch.randn(384, 16, requires_grad=True)
    with Largest() as seen:
        tables.head_step(hidden, weight, torch.arange(8), 1.0)
    assert seen.rows == 16  # the transposed table; logits of three positions are fewer
