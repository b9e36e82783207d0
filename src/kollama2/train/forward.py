"""The loss of a few documents: forward without padding, the head only where a label is."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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
