"""One new token of each row through a small Llama, straight from its weights.

A step of a small model is a few milliseconds of reading weights; transformers spends as much again
between its matrix products, and reads rows of a few hundred numbers at half the memory's speed.
This is the same arithmetic in fewer operations on the same weights, which are turned so that they
are read as one stream; the logits are equal up to rounding. Prompts still go through transformers,
which also remains the way of every other model, dtype and device, and of large models, where little
is left to gain. The figures are in docs/performance.md.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from kollama2.llama.cache import FixedCache

_LARGEST = 2 << 30  # bytes of weights; turning that many takes three seconds
_FIXED = ("default", "linear", "llama3", "yarn")  # rotary tables that do not depend on the text


class _Block(NamedTuple):
    """The weights of a layer; matrices but the last as `_turned` returns them."""

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
    if sum(weight.nbytes for weight in model.parameters()) > _LARGEST:
        return None
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
        self._size = config.head_dim
        # x / sqrt(mean(x²) + eps) is sqrt(n) x / hypot(|x|, sqrt(n eps)): fewer operations.
        width = config.hidden_size
        self._root = width**0.5
        self._floor = torch.tensor((width * config.rms_norm_eps) ** 0.5)
        self._embedding, self._norm = body.embed_tokens.weight, self._scaled(body.norm)
        self._head = _turned(model.lm_head)
        self._blocks = [self._block(layer) for layer in body.layers]
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
            query, key, value = self._projected(x, block, cos, sin)
            keys, values = layer.update(key, value)
            found = functional.scaled_dot_product_attention(query, keys, values, mask)
            x.add_(_times(found.reshape(x.shape[0], -1), block.out))
            gate, up = _times(self._normed(x, block.feed_forward_norm), block.gate_up).chunk(2, -1)
            x.addmm_(functional.silu(gate).mul_(up), block.down)
        return _times(self._normed(x, self._norm), self._head)

    def _block(self, layer: Any) -> _Block:
        attention, feed_forward = layer.self_attn, layer.mlp
        return _Block(
            self._scaled(layer.input_layernorm),
            _turned(attention.q_proj, attention.k_proj, attention.v_proj),
            _turned(attention.o_proj),
            self._scaled(layer.post_attention_layernorm),
            _turned(feed_forward.gate_proj, feed_forward.up_proj),
            # Few long rows are read fast as they are.
            feed_forward.down_proj.weight.data.T,
        )

    def _scaled(self, norm: Any) -> Tensor:
        weight: Tensor = norm.weight.data * self._root
        return weight

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x.div(torch.hypot(length, self._floor)).mul_(weight)

    def _projected(
        self, x: Tensor, block: _Block, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries by the key-value head that they share, keys and values; each (rows, heads, …)."""
        rows, heads, shared = x.shape[0], self._heads, self._kv_heads
        every = _times(self._normed(x, block.attention_norm), block.qkv).view(rows, -1, self._size)
        turning = every[:, : heads + shared].view(rows, heads + shared, 2, -1)
        torch.addcmul(turning * cos, turning.flip(-2), sin, out=turning)
        # The heads of a group ask the same keys, as if they were several positions of one head.
        query = every[:, :heads].view(rows, shared, -1, self._size)
        return query, every[:, heads : heads + shared, None], every[:, heads + shared :, None]


def _turned(*modules: nn.Linear) -> Tensor:
    """The matrices of modules with the same input, side by side and divided among the threads.

    The model's own parameters become views of them, so that no weight is held twice.

    Returns:
        (pieces, inputs, outputs of a piece); a product with a single row uses one thread for each
        piece, whatever the number of threads.
    """
    whole = torch.cat([module.weight.data for module in modules]).T.contiguous()
    start = 0
    for module in modules:
        end = start + module.out_features
        module.weight.data, start = whole[:, start:end].T, end
    pieces = max(n for n in range(1, torch.get_num_threads() + 1) if start % n == 0)
    return whole.view(whole.shape[0], pieces, -1).transpose(0, 1)


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    """(rows, inputs) times a matrix of `_turned`: (rows, outputs)."""
    found = torch.bmm(x.expand(matrix.shape[0], -1, -1), matrix)
    return found.transpose(0, 1).reshape(x.shape[0], -1)
