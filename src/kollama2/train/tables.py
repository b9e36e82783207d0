"""A step through the two tables of a model, without anything else of a table's size.

A vocabulary of 262,144 makes the logits of a few hundred tokens larger than the model, and autograd
keeps three of that: the logits, their logarithms, the gradient. Here the head sees a few positions
at a time, forward and backward at once, so that only these few have logits; gradients are added to
the tables where they stand, because each further gradient of a table would be a table more.

Source: Hsu et al. 2024, Liger Kernel (arXiv 2410.10989), section 3.2, has the order of the sums.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Body = Callable[[Tensor], Tensor]
ROOM = {"cpu": 1 << 25, "cuda": 1 << 28}  # logits at once; on a GPU larger products pay


def plain(model: Any, device: torch.device) -> bool:
    """Whether a model is a table, a decoder and a head, with nothing else in between.

    It is asked, not looked up: a model that scales its logits, caps them or needs the ids further
    on gives another answer than its parts do.
    """
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    if not isinstance(table, nn.Embedding) or type(head) is not nn.Linear or head.bias is not None:
        return False
    ids = torch.arange(min(3, table.num_embeddings), device=device)[None]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            whole = model(input_ids=ids, use_cache=False).logits
            inside = model.get_decoder()(
                inputs_embeds=_embedded(table, table.weight[ids]), use_cache=False
            )
            return torch.equal(head(inside.last_hidden_state), whole)
    except (TypeError, ValueError, AttributeError):
        return False  # a decoder that wants the ids, or is none
    finally:
        model.train(training)


def learn(model: Any, body: Body, micro: dict[str, Any], scale: float) -> Tensor:
    """Forward and backward of a micro-batch; gradients are added to those that are there.

    Args:
        model: one that is `plain`.
        body: the decoder on [1, tokens, size] embedded tokens; answers [n, size], what is at the
            positions with a label.
        micro: from `forward.tensors`.
        scale: of the sum of the cross-entropies.

    Returns:
        The scaled sum, in nats.
    """
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    used, places = micro["input_ids"].unique(return_inverse=True)
    rows = table.weight.detach()[used].requires_grad_(table.weight.requires_grad)
    hidden = body(_embedded(table, rows[places]))
    loss, gradient = head_step(hidden.detach(), head.weight, micro["targets"], scale)
    if hidden.requires_grad:
        with torch.autocast(hidden.device.type, enabled=False):
            torch.autograd.backward(hidden, gradient)
    if rows.grad is not None:
        if table.padding_idx is not None:
            rows.grad[used == table.padding_idx] = 0
        _gradient(table.weight).index_add_(0, used, rows.grad)
    return loss


def head_step(
    hidden: Tensor, weight: Tensor, targets: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """The scaled sum of the cross-entropies of a head, and its gradients; softmax in float32.

    Products are in the dtype of autocast, where that is on.

    Args:
        hidden: [n, size], without a graph.
        weight: [vocabulary, size]; its gradient is added to `weight.grad` if it wants one.
        targets: [n] token ids.
        scale: of loss and gradients.

    Returns:
        The loss, and the gradient of `hidden`, [n, size].
    """
    device, dtype = hidden.device.type, hidden.dtype
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    gradient, loss = torch.empty_like(hidden), torch.zeros((), device=hidden.device)
    matrix = weight.detach().to(dtype)
    room = max(1, ROOM.get(device, ROOM["cpu"]) // len(weight))
    with torch.no_grad(), torch.autocast(device, enabled=False):
        for start in range(0, len(hidden), room):
            some = hidden[start : start + room].to(dtype)
            wanted = targets[start : start + room, None]
            logits = (some @ matrix.T).float()
            total = logits.logsumexp(-1, keepdim=True)
            loss += (total - logits.gather(1, wanted)).sum()
            away = logits.sub_(total).exp_()
            away.scatter_add_(1, wanted, away.new_full(wanted.shape, -1))
            away = away.mul_(scale).to(dtype)
            gradient[start : start + room] = away @ matrix
            if not weight.requires_grad:
                continue
            if dtype == weight.dtype:
                _gradient(weight).addmm_(away.T, some)
            else:
                _gradient(weight).add_(away.T @ some)
    return loss * scale, gradient


def _embedded(table: nn.Embedding, rows: Tensor) -> Tensor:
    """Rows of a table as it gives them to the decoder; Gemma's are scaled."""
    scaled = getattr(table, "embed_scale", None)
    return rows if scaled is None else rows * scaled.to(rows.dtype)


def _gradient(weight: Tensor) -> Tensor:
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
