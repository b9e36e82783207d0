"""Rows of tables: new ones behind every token, and fewer in their old order."""

from typing import Any

import pytest
import torch

from kollama2.errors import BadData
from kollama2.model.grow import gather, grow, tables
from tests.family_models import FAMILIES


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> Any:
    return FAMILIES["llama"](vocab_size=40, tie_word_embeddings=request.param)


def rows(model: Any) -> list[torch.Tensor]:
    return [table.clone() for table in tables(model) if table is not None]


def test_rows_of_added_tokens_stay_and_padding_does_not(model: Any) -> None:
    before = rows(model)
    new = torch.full((2, 64), 9.0)
    # 36 tokens and 4 rows of padding; tokens 36 and 38 are new, 37 is a part of one.
    grow(model, 36, [36, 38], new, None if len(before) == 1 else -new, 39)
    for table, old, sign in zip(rows(model), before, (1, -1), strict=False):
        assert table.shape == (40, 64)
        assert torch.equal(table[:36], old[:36])
        assert torch.equal(table[[36, 38]], sign * new)
        torch.testing.assert_close(table[[37, 39]], old[:36].mean(0).expand(2, 64))


def test_a_token_without_a_row_gets_one(model: Any) -> None:
    before = rows(model)
    # As Gemma 3's image token, which has the first id behind the table.
    grow(model, 41, [41], torch.zeros(1, 64), torch.zeros(1, 64), 42)
    for table, old in zip(rows(model), before, strict=True):
        assert torch.equal(table[:40], old)
        torch.testing.assert_close(table[40], old.mean(0))
        assert not table[41].any()
    assert model.config.vocab_size == 42


def test_the_rows_that_are_kept_compute_what_they_did(model: Any) -> None:
    kept = [0, 1, 2, 5, 11, 12, 30, 39]
    ids = torch.tensor([[1, 5, 12, 39, 30, 11]])
    with torch.no_grad():
        before = model(ids).logits[..., kept]
        gather(model, [*kept, 40])
        after = model(torch.tensor([[kept.index(i) for i in ids[0]]])).logits
    torch.testing.assert_close(after[..., :-1], before, rtol=0, atol=1e-6)
    assert model.config.vocab_size == 9


def test_a_bias_of_the_head_moves_with_its_rows() -> None:
    import transformers as tf

    config = tf.PhiConfig(
        vocab_size=40,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
    )
    model = tf.PhiForCausalLM(config).eval()
    model.lm_head.bias.data = torch.arange(40.0)
    gather(model, [3, 7, 39])
    assert model.lm_head.bias.tolist() == [3, 7, 39]


def test_other_rows_for_each_token_are_refused(model: Any) -> None:
    model.per_layer = torch.nn.Embedding(40, 8)
    with pytest.raises(BadData, match="per_layer has a row for each token too"):
        gather(model, [0, 1])
