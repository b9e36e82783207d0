"""The loss of a few documents: forward without padding, the head only where a label is."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kollama2.errors import BadData
from kollama2.train.attention import by_document
from kollama2.train.batches import IGNORED, Document, Rows, cut, micro_batches


def tensors(rows: Rows, parts: list[Document]) -> dict[str, Any]:
    """Documents as one row without padding.

    Returns:
        `input_ids` and `position_ids` [1, tokens], `lengths` (of each document), `positions` [n],
        the places whose next token has a label, and `targets` [n], those labels.
    """
    ids, labels = zip(*(rows.tokens(part) for part in parts), strict=True)
    lengths = tuple(part.length for part in parts)
    wanted = torch.from_numpy(np.concatenate(labels)).long()
    places = (wanted != IGNORED).nonzero()[:, 0]
    return {
        "input_ids": torch.from_numpy(np.concatenate(ids)).long()[None],
        "position_ids": torch.cat([torch.arange(n) for n in lengths])[None],
        "lengths": lengths,
        "positions": places - 1,
        "targets": wanted[places],
    }


def summed_loss(model: Any, micro: dict[str, Any]) -> Tensor:
    """The sum of the cross-entropies of a micro-batch, in nats; softmax in float32."""
    answer = model(
        input_ids=micro["input_ids"],
        position_ids=micro["position_ids"],
        lengths=micro["lengths"],
        logits_to_keep=micro["positions"],
        use_cache=False,
    )
    return functional.cross_entropy(answer.logits[0].float(), micro["targets"], reduction="sum")


def autocast(dtype: str, device: str) -> AbstractContextManager[Any]:
    """bfloat16 arithmetic where it is asked for; float32 as it is."""
    if dtype == "float32":
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


def held_out_loss(
    model: Any,
    rows: Rows,
    keep: np.ndarray | None = None,
    *,
    max_length: int = 1024,
    micro_batch_tokens: int = 4096,
) -> float:
    """The mean cross-entropy over the labelled tokens of rows, in nats a token.

    Args:
        model: a causal language model, with or without an adapter.
        rows: encoded rows.
        keep: indices of the rows that count; all by default.
        max_length: longer rows become several documents, as in training.
        micro_batch_tokens: tokens in one forward pass.
    """
    chosen = np.arange(len(rows)) if keep is None else keep
    table, _ = cut(rows.lengths[chosen], max_length)
    parts = [Document(int(chosen[row]), start, stop) for row, start, stop in table.tolist()]
    parts.sort(key=lambda part: -part.length)
    device = next(model.parameters()).device
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode(), by_document(model):
        for run in micro_batches(parts, micro_batch_tokens):
            micro = tensors(rows, run)
            if micro["targets"].numel():
                here = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in micro.items()}
                total += float(summed_loss(model, here))
                count += micro["targets"].numel()
    if not count:
        raise BadData(f"{rows.path}: none of {len(chosen)} rows has a label, so they have no loss")
    return total / count
