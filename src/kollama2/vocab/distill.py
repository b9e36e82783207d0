"""Distil: new embeddings that make a frozen model think as it did with the old tokens.

Token Distillation (Dobler et al. 2025, arXiv 2505.20133): a text in the new tokens is to give the
hidden states that it gave in the old ones, wherever both have read the same bytes. Only rows of new
pieces move. Those of the head learn to predict their pieces in the same texts, from hidden states
that nothing changes.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kollama2.errors import BadData
from kollama2.locale import mark
from kollama2.vocab.align import Aligned, cut
from kollama2.vocab.embed import Rows
from kollama2.vocab.settings import InitSettings

Progress = Callable[..., None]
_BETAS = (0.9, 0.95)
_TIED = 0.1  # weight of the head's loss where it pulls at the embeddings too


@dataclass(frozen=True)
class Distilled:
    """What a distillation gave and cost.

    Attributes:
        rows: of the new pieces.
        first: mean squared error of the hidden states in the first tenth of the steps.
        last: the same in the last tenth.
        tokens: positions that the model computed, those of the teacher among them.
    """

    rows: Rows
    first: float
    last: float
    tokens: int


def distill(
    model: Any,
    ids: Sequence[int],
    begin: Rows,
    pairs: Sequence[Aligned],
    bos: int | None,
    settings: InitSettings,
    progress: Progress,
) -> Distilled:
    """Move the rows of new pieces until the model reads them like what they replace.

    Args:
        model: a causal language model that has no rows for the new ids yet; it stays as it is.
        ids: of the new pieces.
        begin: their first rows.
        pairs: texts in both tokenizers; long ones are read in parts of `max_length`.
        bos: id that every text begins with, if any.
        settings: batch, seed, length and step.
        progress: called with (steps done, steps in all, "steps", loss=).

    Raises:
        BadData: no text, or none that both tokenizers cover.
    """
    table = model.get_input_embeddings().weight.data
    unembed = model.get_output_embeddings().weight.data
    embed = begin.embed.to(table.device).clone().requires_grad_()
    head = embed if begin.head is None else begin.head.to(table.device).clone().requires_grad_()
    # One token of the length is the text's beginning.
    chosen = [part for pair in pairs for part in cut(pair, settings.max_length - 1)]
    random.Random(settings.seed).shuffle(chosen)
    batches = [chosen[i : i + settings.batch] for i in range(0, len(chosen), settings.batch)]
    if not batches:
        raise BadData(
            f"the corpus gives no text of up to {settings.max_length} tokens that both tokenizers "
            "cover; name another corpus, or raise max_length"
        )
    optimizer, schedule = _optimizer(model, embed, head, settings.lr, len(batches))
    names = {i: len(table) + index for index, i in enumerate(ids)}
    errors, tokens = list[float](), 0
    for step, batch in enumerate(batches):
        olds = _padded([pair.old for pair in batch], bos, {}).to(table.device)
        news = _padded([pair.new for pair in batch], bos, names).to(table.device)
        row, old_end, new_end = _ends(batch, bos)
        with torch.no_grad():
            wanted = states_of(model, table[olds.clamp_min(0)])[row, old_end]
        states = states_of(model, _look_up(table, embed, news))
        error = functional.mse_loss(states[row, new_end], wanted)
        surprise = _surprise(states.detach(), news, unembed, head)
        loss = error / wanted.square().mean() + (_TIED if begin.head is None else 1.0) * surprise
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        errors.append(error.item())
        tokens += olds.numel() + news.numel()
        progress(step + 1, len(batches), mark("steps"), loss=loss.item())
    tenth = max(1, len(errors) // 10)
    return Distilled(
        rows=Rows(embed.detach().cpu(), None if begin.head is None else head.detach().cpu()),
        first=sum(errors[:tenth]) / tenth,
        last=sum(errors[-tenth:]) / tenth,
        tokens=tokens,
    )


def _optimizer(
    model: Any, embed: Tensor, head: Tensor, step: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam whose step is a share of the typical size of the old rows, falling to a twentieth."""
    olds = (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    rows = [embed] if head is embed else [embed, head]
    groups = [
        {"params": [row], "lr": step * float(old.detach().float().square().mean().sqrt())}
        for row, old in zip(rows, olds, strict=False)
    ]
    optimizer = torch.optim.Adam(groups, betas=_BETAS)
    return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)


def _padded(rows: Sequence[Sequence[int]], bos: int | None, names: Mapping[int, int]) -> Tensor:
    """Ids as (rows, longest), -1 behind the end of each; new ones count on from the old rows."""
    begin = [] if bos is None else [bos]
    wide = [[*begin, *(names.get(i, i) for i in row)] for row in rows]
    longest = max(map(len, wide))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in wide])


def _ends(batch: Sequence[Aligned], bos: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Where both tokenizers have read the same bytes: row, place in the old, place in the new."""
    skip = 0 if bos is None else 1
    places = [(row, a + skip, b + skip) for row, one in enumerate(batch) for a, b in one.ends]
    row, old, new = torch.tensor(places).T
    return row, old, new


def states_of(model: Any, rows: Tensor) -> Tensor:
    """Hidden states behind the last layer; what pads the end is read by nothing before it.

    Args:
        model: a causal language model.
        rows: of its embeddings, or new ones beside them, (texts, tokens, hidden). The module of the
            embeddings makes of them what it makes of its own: Gemma's multiplies.
    """
    # Not the module itself: it gives no gradient to the row that its padding_idx says.
    module = copy(model.get_input_embeddings())
    module.padding_idx = None
    flat = rows.flatten(0, 1)
    places = torch.arange(len(flat), device=rows.device)
    given = torch.func.functional_call(module, {"weight": flat}, (places,)).view(rows.shape)
    states: Tensor = model.base_model(inputs_embeds=given, use_cache=False).last_hidden_state
    return states


def _look_up(table: Tensor, embed: Tensor, ids: Tensor) -> Tensor:
    old = table[ids.clamp(0, len(table) - 1)]
    new = embed[(ids - len(table)).clamp_min(0)]
    return torch.where((ids >= len(table))[..., None], new, old)


def _surprise(states: Tensor, ids: Tensor, unembed: Tensor, head: Tensor) -> Tensor:
    """Mean cross-entropy of each next token, over the old and the new rows of the head."""
    real = ids[:, 1:] >= 0
    before = states[:, :-1][real]
    logits = torch.cat([before @ unembed.T, before @ head.T], dim=1)
    return functional.cross_entropy(logits, ids[:, 1:][real])
