"""Documents side by side are each as if alone, forward and backward."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kollama2.train.attention import by_document
from kollama2.train.batches import Document, Rows
from kollama2.train.forward import held_out_loss, summed_loss, tensors
from tests.train.conftest import some_ids, write_rows

SIZES = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}


def llama(key_heads: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(num_key_value_heads=key_heads, **SIZES)).eval()


def documents(rows: Rows) -> list[Document]:
    parts = [Document(k, 0, int(n)) for k, n in enumerate(rows.lengths)]
    return sorted(parts, key=lambda p: -p.length)


@pytest.fixture
def table(tmp_path: Path) -> Rows:
    """Among ten documents some of equal length."""
    ids = some_ids(10, low=3, high=9, seed=5)
    return Rows(write_rows(tmp_path / "few", ids))


@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_equals_each_document_alone(key_heads: int, table: Rows) -> None:
    model = llama(key_heads)
    parts = documents(table)
    assert len({p.length for p in parts}) < len(parts)
    with by_document(model):
        together = summed_loss(model, tensors(table, parts))
        together.backward()
    packed = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    alone = torch.zeros(())
    for part in parts:  # transformers' own attention and loss
        ids = torch.from_numpy(table.tokens(part)[0].copy()).long()[None]
        loss = model(input_ids=ids, labels=ids).loss * (part.length - 1)
        loss.backward()
        alone += loss.detach()
    assert together.item() == pytest.approx(alone.item(), rel=1e-6)
    assert len(packed) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, atol=1e-5, rtol=1e-4)


def test_a_neighbour_changes_nothing(table: Rows) -> None:
    model = llama(4)
    parts = documents(table)
    with by_document(model), torch.inference_mode():
        first, second = tensors(table, parts[:3]), tensors(table, [*parts[:2], parts[5]])
        keep = sum(p.length for p in parts[:2])
        one, two = (
            model(input_ids=m["input_ids"], position_ids=m["position_ids"], lengths=m["lengths"])
            for m in (first, second)
        )
    torch.testing.assert_close(one.logits[:, :keep], two.logits[:, :keep], atol=1e-5, rtol=0)


def test_the_attention_of_before_comes_back() -> None:
    model = llama(4)
    with by_document(model):
        assert model.config._attn_implementation == "kollama2_documents"
    assert model.config._attn_implementation == "sdpa"


def test_held_out_loss_is_the_mean_over_labels(table: Rows) -> None:
    model = llama(2)
    parts = documents(table)
    with by_document(model), torch.inference_mode():
        total = sum(summed_loss(model, tensors(table, [p])).item() for p in parts)
    mean = total / sum(p.length - 1 for p in parts)
    assert held_out_loss(model, table) == pytest.approx(mean, rel=1e-6)
    assert held_out_loss(model, table, micro_batch_tokens=1) == pytest.approx(mean, rel=1e-6)
    cut = held_out_loss(model, table, max_length=8)
    assert cut == pytest.approx(mean, rel=1e-2)
