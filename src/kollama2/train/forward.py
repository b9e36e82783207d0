"""The loss of a few documents: forward without padding, the head only where a label is."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from kollama2.errors import BadData
from kollama2.train import tables
from kollama2.train.attention import NAME, by_document
from kollama2.train.batches import IGNORED, Document, Rows, documents, micro_batches


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


def on(device: torch.device, micro: dict[str, Any]) -> dict[str, Any]:
    """A micro-batch on a device."""
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in micro.items()}


def summed_loss(model: Any, micro: dict[str, Any]) -> Tensor:
    """The sum of the cross-entropies of a micro-batch, in nats; softmax in float32."""
    return functional.cross_entropy(logits(model, micro).float(), micro["targets"], reduction="sum")


def learn(model: Any, micro: dict[str, Any], scale: float, plain: bool) -> Tensor:
    """Forward and backward of a micro-batch; answers `scale` times its summed loss, in nats.

    Args:
        model: as in `logits`.
        micro: from `tensors`, on the model's device.
        scale: of the loss, and so of the gradients.
        plain: whether the model is `tables.plain` and in `by_document`.
    """
    if plain:
        return tables.learn(model, partial(_positions, model.get_decoder(), micro), micro, scale)
    loss = summed_loss(model, micro) * scale
    with torch.autocast(loss.device.type, enabled=False):
        torch.autograd.backward(loss)
    return loss.detach()


def _positions(decoder: Any, micro: dict[str, Any], embedded: Tensor) -> Tensor:
    """What a decoder answers at the positions of a micro-batch, [positions, size]."""
    answer = decoder(
        inputs_embeds=embedded,
        position_ids=micro["position_ids"],
        lengths=micro["lengths"],
        use_cache=False,
    )
    return cast(Tensor, answer.last_hidden_state[0, micro["positions"]])


def logits(model: Any, micro: dict[str, Any]) -> Tensor:
    """The logits at the positions of a micro-batch, each document as if it were alone.

    Args:
        model: in `by_document` where its documents are to share a row.
        micro: from `tensors`.

    Returns:
        [positions, vocabulary].
    """
    if model.config.get_text_config()._attn_implementation == NAME:
        answer = model(
            input_ids=micro["input_ids"],
            position_ids=micro["position_ids"],
            lengths=micro["lengths"],
            logits_to_keep=micro["positions"],
            use_cache=False,
        )
        return cast(Tensor, answer.logits[0])
    found = []
    for ids, first, ends in _apart(micro):
        inside = (micro["positions"] >= first) & (micro["positions"] < ends[-1])
        places = micro["positions"][inside]
        row = torch.searchsorted(ends, places, right=True)
        column = places - torch.cat([ends.new_tensor([first]), ends[:-1]])[row]
        kept, at = column.unique(return_inverse=True)
        answer = model(input_ids=ids, logits_to_keep=kept, use_cache=False)
        found.append(answer.logits[row, at])
    return torch.cat(found)


def _apart(micro: dict[str, Any]) -> Iterator[tuple[Tensor, int, Tensor]]:
    """Documents as rows of their own, shorter ones filled at the end, where nothing looks back.

    Yields:
        [documents, longest] token ids; where their first begins in the micro-batch; and where each
        of them ends there. Documents of a batch are at least half as long as its first.
    """
    lengths, begin = list(micro["lengths"]), 0
    while lengths:
        longest = lengths[0]
        count = next((n for n, one in enumerate(lengths) if not longest / 2 <= one <= longest), -1)
        taken = lengths if count < 0 else lengths[:count]
        ends = begin + torch.tensor(taken, device=micro["input_ids"].device).cumsum(0)
        rows = micro["input_ids"][0, begin : int(ends[-1])].split(taken)
        yield pad_sequence(list(rows), batch_first=True), begin, ends
        begin, lengths = int(ends[-1]), lengths[len(taken) :]


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
    parts = sorted(documents(rows, chosen, max_length), key=lambda part: -part.length)
    device = next(model.parameters()).device
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode(), by_document(model):
        for run in micro_batches(parts, micro_batch_tokens):
            micro = tensors(rows, run)
            if micro["targets"].numel():
                total += float(summed_loss(model, on(device, micro)))
                count += micro["targets"].numel()
    if not count:
        raise BadData(f"{rows.path}: none of {len(chosen)} rows has a label, so they have no loss")
    return total / count
