"""The decoder's own ways: the direct step and the reuse of what the cache holds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kollama2.llama.cache import FixedCache
from kollama2.llama.direct import direct
from kollama2.llama.generation import Decoder, Settings, stream
from kollama2.llama.sampling import sample_top_p

SHAPE = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 96,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SCALED = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2},
    "tied": {"tie_word_embeddings": True, "head_dim": 12},
    "scaled": {"num_key_value_heads": 1, "rope_parameters": SCALED, "rms_norm_eps": 1e-3},
}


def model(**changed: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**(SHAPE | changed))).eval()
    for weight in made.parameters():  # larger than at birth, so that every part matters
        weight.data *= 4 if weight.ndim > 1 else torch.rand_like(weight) + 0.5
    return made


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(model(), 2, 96)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("lengths", "threads"), [([7], 1), ([7], 4), ([9, 9, 9], 3), ([3, 20, 11], 2)]
)
def test_the_direct_step_equals_that_of_transformers(
    kind: str, lengths: list[int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)  # divides the matrices
    made = model(**KINDS[kind])
    before = {name: weight.clone() for name, weight in made.state_dict().items()}
    torch.manual_seed(1)
    prompts = [torch.randint(3, 320, (n,)).tolist() for n in lengths]
    tokens = torch.randint(3, 320, (5, len(lengths)))
    found, expected = [], []
    ours, theirs = Decoder(made, 4, 96), Decoder(made, 4, 96)
    assert ours.direct is not None
    theirs.direct = None
    for one, logits in ((ours, found), (theirs, expected)):
        one.read(prompts)
        for i, row in enumerate(tokens):
            logits.append(one.step(row, [n + i for n in lengths]))
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert torch.stack(expected).std() > 0.5
    assert all(torch.equal(weight, before[name]) for name, weight in made.state_dict().items())


def divided(made: Any) -> None:
    made.model.layers[1].self_attn.q_proj.weight.data = torch.zeros(32, 64)


def biased(made: Any) -> None:
    made.model.layers[0].mlp.up_proj.bias = torch.nn.Parameter(torch.zeros(96))


def half(made: Any) -> None:
    made.bfloat16()


def hooked(made: Any) -> None:
    made.model.layers[2].register_forward_hook(lambda *_: None)


def adapted(made: Any) -> None:
    class Adapted(torch.nn.Linear):
        """A matrix that computes more than a product."""

    made.model.layers[0].self_attn.v_proj = Adapted(64, 64, bias=False)


def lengthening(made: Any) -> None:
    made.config.rope_parameters["rope_type"] = "dynamic"


@pytest.mark.parametrize("change", [divided, biased, half, hooked, adapted, lengthening])
def test_any_other_model_goes_through_transformers(change: Callable[[Any], None]) -> None:
    made = model()
    assert direct(made, FixedCache(3, 1, 16)) is not None
    change(made)
    assert direct(made, FixedCache(3, 1, 16)) is None


def test_a_new_turn_reads_only_what_is_new(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    forward = decoder.model.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder.model, "forward", spy)
    settings = Settings(6, logprobs=True)

    def turn(prompt: list[int], kept: int) -> tuple[list[int], list[float]]:
        with torch.inference_mode():
            logits, _ = decoder.read([prompt], kept=kept)
            steps = list(stream(decoder, logits, [len(prompt)], settings))
        return [s.tokens[0] for s in steps], [s.logprobs[0] for s in steps]  # type: ignore[misc]

    def both(prompt: list[int], new: int) -> list[int]:
        """The turn on top of the text before, and alone; how much of it is new."""
        kept = decoder.known(prompt)
        read.clear()
        tokens, scores = turn(prompt, kept)
        assert read[0] == len(prompt) - kept == new
        other = Decoder(decoder.model, 2, 96)
        fresh, logits = other.read([prompt], every=True)
        assert logits is not None
        alone = list(stream(other, fresh, [len(prompt)], settings))
        assert tokens == [step.tokens[0] for step in alone]
        assert scores == pytest.approx([step.logprobs[0] for step in alone], abs=1e-5)
        return tokens

    with torch.inference_mode():
        first = [1, 40, 41, 42]
        answer = both(first, 4)
        # The last token of an answer was chosen but never computed.
        second = [*first, *answer, 2, 1, 50, 51]
        answer = both(second, 5)
        assert decoder.known(second) == len(second) - 1
        changed = [*second[:7], 99, 98]  # the user goes back and asks something else
        both(changed, 2)
        both([7, 8, 9], 3)  # another dialog
        both([7, 8, 9], 1)  # the same prompt again
        decoder.read([[7, 5, 6, 4], [7, 8, 9]])
        both([7, 8, 9], 2)  # a batch came between: only its first row is known
        decoder.read([[1] * 96])
        assert decoder.known([1] * 96) == 95


@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9, 0.999, 1.0])
def test_the_nucleus_is_that_of_the_whole_vocabulary(mass: float) -> None:
    """Drawn so often that every kept token comes: steep rows need few tokens, flat ones all."""
    torch.manual_seed(2)
    logits = torch.randn(2, 600) * torch.tensor([[4.0], [0.1]])
    probs = logits.softmax(-1)
    ordered, ids = probs.sort(descending=True)
    wanted = [
        set(i[before <= mass].tolist())
        for i, before in zip(ids, ordered.cumsum(-1) - ordered, strict=True)
    ]
    drawn = torch.stack([sample_top_p(probs, mass)[:, 0] for _ in range(400)])
    for row in (0, 1):
        found = set(drawn[:, row].tolist())
        assert found <= wanted[row]
        likely = {i for i in wanted[row] if probs[row, i] > 0.05}
        assert likely <= found
    assert len(wanted[0]) < 256 < len(wanted[1]) or mass in (0.05, 1.0)
