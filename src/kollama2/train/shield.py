"""Source-shielded updates: columns that the old language needs are frozen before training.

Score of an input column: ‖X_j‖₂ · Σ_i |W_ij| over calibration text (Wanda's |W| · ‖X‖, summed over
a column). The best `share` of the columns of every linear layer in the body get no gradient.
Embeddings and head stay free, so that new words can be learned.

Source: Source-Shielded Updates, 2025 (arXiv 2512.04844), and its scripts.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from kollama2.train.attention import by_document, side_by_side
from kollama2.train.batches import Rows, documents, micro_batches, order
from kollama2.train.forward import logits, on, tensors

SAMPLES, MAX_LENGTH = 500, 512  # calibration rows; tokens of a document


def shield(
    model: Any,
    rows: Rows,
    share: float,
    *,
    micro_batch_tokens: int = 4096,
    seed: int = 0,
) -> dict[str, float]:
    """Freeze the input columns of linear layers that calibration rows use most, in place.

    Args:
        model: a model that is trained in full.
        rows: encoded text of the language that is to be kept.
        share: of the columns of each layer that is frozen.
        micro_batch_tokens: tokens in one forward pass.
        seed: which `SAMPLES` of the rows.

    Returns:
        `shielded_layers`, `shielded_columns` and `calibration_tokens`.
    """
    layers = {
        name: layer
        for name, layer in model.get_decoder().named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    chosen = order(len(rows), seed, 0)[:SAMPLES]
    parts = documents(rows, chosen, MAX_LENGTH)
    squares = {
        name: torch.zeros(layer.in_features, device=layer.weight.device)
        for name, layer in layers.items()
    }
    hooks = [
        layer.register_forward_pre_hook(partial(_add_squares, squares[name]))
        for name, layer in layers.items()
    ]
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), by_document(model):
            # What fills a batch of documents would be counted, so without shared rows one at once.
            room = micro_batch_tokens if side_by_side(model) else 1
            for run in micro_batches(parts, room):
                micro = on(device, tensors(rows, run))
                logits(model, {**micro, "positions": micro["positions"][:1]})
    finally:
        for hook in hooks:
            hook.remove()
    frozen = 0
    for name, layer in layers.items():
        scores = squares[name].sqrt() * layer.weight.detach().abs().sum(0)
        columns = scores.argsort(descending=True, stable=True)[: int(share * len(scores))]
        free = torch.ones_like(scores)
        free[columns] = 0
        layer.weight.shielded = True  # type: ignore[attr-defined]
        layer.weight.register_hook(partial(_masked, free))  # type: ignore[no-untyped-call]
        frozen += len(columns)
    tokens = sum(one.length for one in parts)
    return {
        "shielded_layers": len(layers),
        "shielded_columns": frozen,
        "calibration_tokens": tokens,
    }


def _add_squares(total: Tensor, layer: Any, inputs: tuple[Tensor, ...]) -> None:
    total += inputs[0].detach().float().reshape(-1, inputs[0].shape[-1]).square().sum(0)


def _masked(free: Tensor, gradient: Tensor) -> Tensor:
    return gradient * free
