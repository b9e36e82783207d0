"""One new token of each row through a plain Llama, straight from its weights.

A step of a small model is a few milliseconds of reading weights, and transformers spends more than
that between its matrix products. This is the same arithmetic on the same weights in a fraction of
the operations; its logits are equal up to rounding. Prompts still go through transformers, which
also remains the way of every other model, dtype and device.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from kollama2.llama.cache import FixedCache

_FIXED = ("default", "linear", "llama3", "yarn")  # rotary tables that do not depend on the text


class _Block(NamedTuple):
    attention_norm: Tensor
    qkv: Tensor
    out: Tensor
    feed_forward_norm: Tensor
    gate_up: Tensor
    down: Tensor


def direct(model: Any, cache: FixedCache) -> "Direct | None":
    """The step of a model, or None where only transformers can compute it."""
    config = model.config
    if type(model) is not LlamaForCausalLM or config.hidden_act != "silu":
        return None
    if config.rope_parameters["rope_type"] not in _FIXED:
        return None
    hidden, inner, vocab = config.hidden_size, config.intermediate_size, config.vocab_size
    own, shared = (
        heads * config.head_dim
        for heads in (config.num_attention_heads, config.num_key_value_heads)
    )
    shapes = {
        "q_proj": (own, hidden), "k_proj": (shared, hidden), "v_proj": (shared, hidden),
        "o_proj": (hidden, own), "gate_proj": (inner, hidden), "up_proj": (inner, hidden),
        "down_proj": (hidden, inner), "lm_head": (vocab, hidden), "embed_tokens": (vocab, hidden),
    }  # fmt: skip
    for name, module in model.named_modules():
        shape = shapes.get(name.rpartition(".")[2])
        if module._forward_hooks or module._forward_pre_hooks or not _plain(module, shape):
            return None
    return Direct(model, cache)


def _plain(module: Any, shape: tuple[int, int] | None) -> bool:
    """Whether a module is what the library made it: not quantised, adapted, divided or moved."""
    if shape is None:
        return True
    weight = module.weight
    return (
        type(module) in (nn.Linear, nn.Embedding)
        and getattr(module, "bias", None) is None
        and isinstance(weight, nn.Parameter)
        and type(weight.data) is Tensor
        and (weight.dtype, weight.device.type) == (torch.float32, "cpu")
        and tuple(weight.shape) == shape
    )


def _blocks(layers: Any) -> Iterator[_Block]:
    """The weights of each layer; matrices that read the same input become one.

    The model's own parameters become views of it, so that no weight is held twice.
    """
    for layer in layers:
        attention, feed_forward = layer.self_attn, layer.mlp
        yield _Block(
            layer.input_layernorm.weight,
            _joined(attention.q_proj, attention.k_proj, attention.v_proj),
            attention.o_proj.weight,
            layer.post_attention_layernorm.weight,
            _joined(feed_forward.gate_proj, feed_forward.up_proj),
            feed_forward.down_proj.weight,
        )


def _joined(*modules: nn.Linear) -> Tensor:
    whole = torch.cat([module.weight.data for module in modules])
    start = 0
    for module in modules:
        end = start + module.weight.shape[0]
        module.weight.data, start = whole[start:end], end
    return whole


class Direct:
    """The step of a Llama in float32 on a CPU; made by `direct`.

    Args:
        model: a `LlamaForCausalLM` that `direct` accepts.
        cache: where its keys and values lie.
    """

    def __init__(self, model: Any, cache: FixedCache) -> None:
        config, body = model.config, model.model
        self._cache = cache
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._size, self._eps = config.head_dim, config.rms_norm_eps
        self._embedding, self._norm = body.embed_tokens.weight, body.norm.weight
        self._head = model.lm_head.weight
        self._blocks = list(_blocks(body.layers))
        places = torch.arange(cache.length)[None]
        cos, sin = body.rotary_emb(self._embedding[:1], position_ids=places)
        half = self._size // 2
        self._cos = cos.view(-1, 1, 2, half)
        # Halves (a, b) turn to (a cos - b sin, b cos + a sin), RoFormer's equation 34: with the
        # halves exchanged, the first sine is negative.
        self._sin = sin.view(-1, 1, 2, half) * torch.tensor([[-1.0], [1.0]])

    def __call__(self, tokens: Tensor, positions: Tensor, used: int) -> Tensor:
        """Compute one token of each row, written where the cache was told.

        Args:
            tokens: (rows,) ids.
            positions: (rows,) of these tokens.
            used: positions that the longest row has with this token.

        Returns:
            (rows, vocabulary) logits of the next tokens.
        """
        mask = None
        if self._cache.positions is not None:
            unseen = torch.arange(used) > positions[:, None]
            mask = torch.zeros(unseen.shape).masked_fill_(unseen, -torch.inf)[:, None, None]
        cos, sin = self._cos[positions], self._sin[positions]
        x = self._embedding[tokens]
        for block, layer in zip(self._blocks, self._cache.layers, strict=True):
            normed = self._normed(x, block.attention_norm)
            query, key, value = self._projected(normed, block.qkv, cos, sin)
            keys, values = layer.update(key, value)
            found = functional.scaled_dot_product_attention(query, keys, values, mask)
            x = torch.addmm(x, found.reshape(x.shape[0], -1), block.out.T)
            normed = self._normed(x, block.feed_forward_norm)
            gate, up = functional.linear(normed, block.gate_up).chunk(2, -1)
            x = torch.addmm(x, functional.silu(gate).mul_(up), block.down.T)
        return functional.linear(self._normed(x, self._norm), self._head)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, weight.shape, weight, self._eps)

    def _projected(
        self, normed: Tensor, qkv: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries by the key-value head that they share, keys and values; each (rows, …)."""
        rows, heads, shared = normed.shape[0], self._heads, self._kv_heads
        every = functional.linear(normed, qkv).view(rows, heads + 2 * shared, self._size)
        turned = every[:, : heads + shared].view(rows, heads + shared, 2, -1)
        turned = torch.addcmul(turned * cos, turned.flip(-2), sin).flatten(-2)
        # The heads of a group ask the same keys, as if they were several positions of one head.
        query = turned[:, :heads].view(rows, shared, -1, self._size)
        return query, turned[:, heads:, None], every[:, heads + shared :, None]
