"""Encoders and models for the tests of the evaluation, whose scores can be computed by hand."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM


class ByteEncoder:
    """One id for each UTF-8 byte, after pad, BOS and EOS; or for each pair of bytes (`merged`)."""

    first_id = 1
    lead = ()
    stop_ids = (2,)

    def __init__(self, merged: bytes = b"") -> None:
        """`merged`: two bytes that become one id, 259."""
        self._merged = merged

    def encode(self, text: str) -> list[int]:
        data, ids = text.encode(), []
        while data:
            merged = bool(self._merged) and data.startswith(self._merged)
            ids.append(259 if merged else data[0] + 3)
            data = data[2 if merged else 1 :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        parts = [self._merged if one == 259 else bytes([one - 3]) for one in ids if one > 2]
        return b"".join(parts).decode(errors="replace")

    def answer(self, text: str) -> list[int]:
        return self.encode(text)

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return [1, *self.encode("".join(f"{one['content']}\n" for one in messages))]


class PieceEncoder:
    """The tiny SentencePiece tokenizer with a plain prompt."""

    first_id = 1
    lead = ()
    stop_ids = (2,)

    def __init__(self, folder: Path) -> None:
        import sentencepiece

        self._pieces = sentencepiece.SentencePieceProcessor(
            model_file=str(folder / "tokenizer.model")
        )

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._pieces.encode(text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._pieces.decode(list(ids))
        return text

    def answer(self, text: str) -> list[int]:
        return self.encode(f" {text}")[1:]

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return [1, *self.encode("".join(f"[INST] {one['content']} [/INST]" for one in messages))]


def llama(*, seed: int = 0, vocab_size: int = 260, max_length: int = 512) -> LlamaForCausalLM:
    """A random Llama of two layers; weights large enough that it has opinions."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=max_length,
            bos_token_id=1,
            eos_token_id=2,
            initializer_range=0.3,
        )
    )
    model.eval()
    return model


def constant(probabilities: torch.Tensor) -> LlamaForCausalLM:
    """A model that gives every next id the same probability whatever came before."""
    model = llama(vocab_size=len(probabilities))
    head = nn.Linear(32, len(probabilities))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(probabilities.log())
    model.set_output_embeddings(head)
    return model


def uniform(vocab_size: int = 260) -> LlamaForCausalLM:
    return constant(torch.full((vocab_size,), 1 / vocab_size))


def naive_score(model: nn.Module, context: Sequence[int], continuation: Sequence[int]) -> float:
    """Log-likelihood of one continuation by one full forward pass."""
    with torch.no_grad():
        ids = torch.tensor([[*context, *continuation]])
        table = model(input_ids=ids).logits[0].float().log_softmax(-1)
    return math.fsum(
        float(table[len(context) - 1 + at, one]) for at, one in enumerate(continuation)
    )
