"""Attention of a micro-batch without padding: documents side by side in one row, each alone.

The documents of a micro-batch are concatenated to one row of shape [1, tokens]; `lengths` says
where each ends. A causal mask over that row would let a document see its neighbours, and the
dense block mask that prevents it computes mostly zeros. So each document (or group of documents of
equal length) is one causal attention of its own. No attention mask is ever passed: transformers
takes one as permission to attend across documents.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from kollama2.errors import Missing

NAME = "kollama2_documents"


def documents_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    *,
    lengths: tuple[int, ...],
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each document of a row of documents.

    Args:
        module: the attention layer (unused; part of transformers' interface).
        query: [1, heads, tokens, head size].
        key: [1, key heads, tokens, head size]; fewer heads than `query` in grouped-query attention.
        value: as `key`.
        attention_mask: must be None.
        dropout: on the attention weights.
        scaling: of the scores.
        lengths: tokens of each document, in order; they add up to `tokens`.
        options: what else the model passes; a sliding window that matters is refused.

    Returns:
        [1, tokens, heads, head size], and no weights.

    Raises:
        Missing: the model uses a form of attention that this function does not compute.
    """
    assert attention_mask is None, "a mask would join the documents"
    assert query.shape[0] == 1 and query.shape[2] == sum(lengths), (query.shape, lengths)
    for name in ("softcap", "s_aux", "position_bias"):
        if options.get(name) is not None:
            raise Missing(f"training has no attention with {name!r}, which this model uses")
    window = options.get("sliding_window")
    if window is not None and window < max(lengths):
        raise Missing(
            f"the model attends to {window} tokens at a time; set max_length to {window} or less"
        )
    grouped = query.shape[1] != key.shape[1]
    rows = [part.transpose(1, 2) for part in (query, key, value)]  # [1, tokens, heads, size]
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16):
        return _varlen(rows, lengths, scaling, grouped), None
    runs = [(length, len(list(group))) for length, group in groupby(lengths)]
    # split, not slices: its backward is one concatenation, a slice's a full-size zero tensor each.
    sizes = [length * n for length, n in runs]
    parts = zip(*(torch.split(r, sizes, dim=1) for r in rows), strict=True)
    out = []
    for (length, n), qkv in zip(runs, parts, strict=True):
        q, k, v = (p.reshape(n, length, *p.shape[2:]).transpose(1, 2) for p in qkv)
        attended = functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, scale=scaling, is_causal=True, enable_gqa=grouped
        )
        out.append(attended.transpose(1, 2).reshape(1, n * length, *attended.shape[1::2]))
    return torch.cat(out, dim=1), None


def _varlen(rows: list[Tensor], lengths: tuple[int, ...], scale: float | None, gqa: bool) -> Tensor:
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
        window_size=(-1, 0),
        enable_gqa=gqa,
    )
    assert isinstance(attended, Tensor)
    return attended[None]


AttentionInterface.register(NAME, documents_attention)


@contextmanager
def by_document(model: Any) -> Iterator[None]:
    """Let `model` compute attention by document inside the block; it needs `lengths=` there."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
