"""Attention of a micro-batch without padding: documents side by side in one row, each alone.

The documents of a micro-batch are concatenated to one row of shape [1, tokens]; `lengths` says
where each ends. A causal mask over that row would let a document see its neighbours, and the
dense block mask that prevents it computes mostly zeros. So each document (or group of documents of
equal length) is an attention of its own. transformers passes no mask here, which it would take as
permission to attend across documents, but the window of the layer, if it has one.

Convolutions and recurrences know no documents: models with such layers get them in rows of their
own (`forward.logits`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from kollama2.errors import Missing

NAME = "kollama2_documents"
_SOFTMAX = {"full_attention", "sliding_attention"}


def documents_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: int | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    *,
    lengths: tuple[int, ...],
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each document of a row of documents.

    Args:
        module: the attention layer (unused; part of transformers' interface).
        query: [1, heads, tokens, head size].
        key: [1, key heads, tokens, head size]; fewer heads than `query` in grouped-query attention.
        value: as `key`.
        attention_mask: the window of the layer in tokens; None without one (see `window`).
        dropout: on the attention weights.
        scaling: of the scores.
        lengths: tokens of each document, in order; they add up to `tokens`.
        softcap: bound of the scores (Gemma 2), by a hyperbolic tangent.
        s_aux: [heads], the scores of a sink that takes attention to nothing (gpt-oss).
        options: what else the model passes.

    Returns:
        [1, tokens, heads, head size], and no weights.

    Raises:
        Missing: the model uses a form of attention that this function does not compute.
    """
    assert query.shape[0] == 1 and query.shape[2] == sum(lengths), (query.shape, lengths)
    if options.get("position_bias") is not None:
        raise Missing("training has no attention with 'position_bias', which this model uses")
    rows = [part.transpose(1, 2) for part in (query, key, value)]  # [1, tokens, heads, size]
    plain = softcap is None and s_aux is None
    if plain and query.is_cuda and query.dtype in (torch.float16, torch.bfloat16):
        grouped = query.shape[1] != key.shape[1]
        return _varlen(rows, lengths, scaling, attention_mask, grouped), None
    runs = [(length, len(list(group))) for length, group in groupby(lengths)]
    # split, not slices: its backward is one concatenation, a slice's a full-size zero tensor each.
    sizes = [length * n for length, n in runs]
    parts = zip(*(torch.split(r, sizes, dim=1) for r in rows), strict=True)
    out = []
    for (length, n), qkv in zip(runs, parts, strict=True):
        q, k, v = (p.reshape(n, length, *p.shape[2:]).transpose(1, 2) for p in qkv)
        far = attention_mask is None or attention_mask >= length
        mask = None if plain and far else _mask(length, attention_mask or length, query.device)
        if plain:
            attended = functional.scaled_dot_product_attention(
                q, k, v, mask, dropout, mask is None, scale=scaling, enable_gqa=q.shape != k.shape
            )
        else:
            attended = _eager(q, k, v, mask, dropout, scaling, softcap, s_aux)
        out.append(attended.transpose(1, 2).reshape(1, n * length, *attended.shape[1::2]))
    return torch.cat(out, dim=1), None


def _mask(length: int, reach: int, device: torch.device) -> Tensor:
    """[length, length], True where a token looks: at itself and `reach` - 1 before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril().triu(1 - reach)


def _eager(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    scaling: float | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """What no kernel computes: scores under a cap, or beside a sink."""
    assert mask is not None
    groups = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query @ key.transpose(2, 3) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    if sinks is not None:
        beside = sinks.reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, beside.to(scores.dtype)], dim=-1)
    weights = scores.float().softmax(-1).to(query.dtype)[..., : key.shape[2]]
    return functional.dropout(weights, dropout) @ value


def _varlen(
    rows: list[Tensor], lengths: tuple[int, ...], scale: float | None, reach: int | None, gqa: bool
) -> Tensor:
    """The same by one flash-attention kernel, where the device has it."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (r[0] for r in rows)
    ends = torch.tensor((0, *lengths), device=query.device).cumsum(0).to(torch.int32)
    longest = max(lengths)
    attended = varlen_attn(
        query,
        key,
        value,
        ends,
        ends,
        longest,
        longest,
        scale=scale,
        window_size=(-1 if reach is None else reach - 1, 0),
        enable_gqa=gqa,
    )
    assert isinstance(attended, Tensor)
    return attended[None]


def window(*_: Any, local_size: int | None = None, **__: Any) -> int | None:
    """What transformers asks for in the place of a mask: how far a token of the layer looks."""
    return local_size


AttentionInterface.register(NAME, documents_attention)
AttentionMaskInterface.register(NAME, window)


def side_by_side(model: Any) -> bool:
    """Whether documents can share a row: only attention mixes tokens, and it is ours to compute.

    So they cannot where a layer is a convolution or a recurrence (LFM2, Qwen 3.5, Falcon-H1).
    """
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or _SOFTMAX)
    mixing = any(isinstance(layer, torch.nn.Conv1d) for layer in model.get_decoder().modules())
    return kinds <= _SOFTMAX and not mixing and bool(model._can_set_attn_implementation())


@contextmanager
def by_document(model: Any) -> Iterator[None]:
    """Let `model` compute attention by document inside the block, where `side_by_side` says so."""
    if not side_by_side(model):
        yield
        return
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
