import random
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from kollama2.evaluation.scorer import Request, Scorer
from tests.evaluation.models import llama, naive_score


def requests(seed: int) -> list[Request]:
    """Continuations of all lengths, alone and after shared contexts, in mixed order."""
    draw = random.Random(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 260) for _ in range(draw.randint(low, high)))

    found = [Request(ids(1, 90), ids(1, 40)) for _ in range(30)]
    for _ in range(8):
        context = ids(1, 120)
        found.extend(Request(context, ids(1, 30)) for _ in range(draw.randint(2, 6)))
    found.extend([Request((1,), ids(200, 300)), Request((1,), ids(200, 300))])
    found.extend([found[3], found[3]])
    draw.shuffle(found)
    return found


@pytest.mark.parametrize("batch_tokens", [1, 150, 1024, 100_000])
def test_scores_equal_one_by_one(batch_tokens: int) -> None:
    model, wanted = llama(), requests(1)
    scores = Scorer(model, batch_tokens=batch_tokens).score(wanted)
    naive = [naive_score(model, *one) for one in wanted]
    assert np.abs(scores - naive).max() < 1e-4


def test_nothing_is_no_continuation() -> None:
    with pytest.raises(AssertionError, match="would score as certain"):
        Scorer(llama()).score([Request((1, 5), ())])


def test_a_shared_context_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    scorer = Scorer(model)
    context = tuple(range(3, 103))
    wanted = [Request(context, (5, 6, 7, number)) for number in range(3, 7)]
    seen: list[int] = []
    inner = model.model.forward
    monkeypatch.setattr(
        model.model, "forward", lambda **kw: (seen.append(kw["input_ids"].numel()), inner(**kw))[1]
    )
    scorer.score(wanted)
    scorer.score([one._replace(continuation=one.continuation[2:]) for one in wanted])
    scorer.score([one._replace(continuation=one.continuation[::-1]) for one in wanted])
    # What continuations have in common is too, and the last id of none is needed.
    assert seen == [100 + 3, 100 + 1, 100 + 4 * 3]


def test_a_batch_is_closed_before_it_is_padded() -> None:
    scorer = Scorer(llama(), batch_tokens=1024)
    before = scorer.computed
    scorer.score(
        [Request((number,) * (40 if number < 10 else 20), (5,)) for number in range(3, 63)]
    )
    # Seven rows are enough for a batch of their own, three are not.
    assert scorer.computed - before == 7 * 40 + 53 * 20
    before = scorer.computed
    scorer.score([Request((number,) * (40 if number < 6 else 20), (5,)) for number in range(3, 63)])
    assert scorer.computed - before == 7 * 40 + 53 * 20


# peft asks transformers for a property that transformers has renamed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_counts() -> None:
    from peft import LoraConfig, get_peft_model

    wanted, plain = requests(2)[:12], llama()
    before = Scorer(plain).score(wanted)
    adapted = get_peft_model(
        llama(),
        LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    ).eval()
    scores = Scorer(adapted).score(wanted)
    assert np.abs(scores - [naive_score(adapted, *one) for one in wanted]).max() < 1e-4
    assert np.abs(scores - before).max() > 0.01


def test_logits_that_are_more_than_the_head_are_respected() -> None:
    class Capped(LlamaForCausalLM):
        def forward(self, **inputs: Any) -> Any:
            output = super().forward(**inputs)
            output.logits = 3 * torch.tanh(output.logits / 3)
            return output

    wanted, capped = requests(3), Capped(llama().config).eval()
    scores = Scorer(capped).score(wanted)
    assert np.abs(scores - [naive_score(capped, *one) for one in wanted]).max() < 1e-4


def test_what_does_not_fit_is_said() -> None:
    scorer = Scorer(llama(max_length=16))
    assert scorer.fits(Request((1,) * 10, (5,) * 7))
    assert not scorer.fits(Request((1,) * 10, (5,) * 8))
