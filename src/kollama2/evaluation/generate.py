"""Greedy answers of a model at hand, in batches."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from kollama2.evaluation.answers import Answer
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.thoughts import opens, spoken

# Tokens at the end of a prompt that can open thoughts.
_OPENING = 8
# Tokens between two questions whether an answer is complete.
_ASKED = 8


def answers(
    prompts: Sequence[Sequence[int]], tools: Tools, model: nn.Module, max_new_tokens: int
) -> list[Answer | None]:
    """The greedy answer to each prompt; None where prompt and answer do not fit the model."""
    room = tools.scorer.max_length - max_new_tokens
    kept = [index for index, prompt in enumerate(prompts) if len(prompt) <= room]
    found: list[Answer | None] = [None] * len(prompts)
    said = greedy(
        model,
        [prompts[index] for index in kept],
        max_new_tokens=max_new_tokens,
        stop_ids=sorted(tools.encoder.stop_ids),
        batch_tokens=tools.scorer.batch_tokens,
        heard=tools.heard,
    )
    for index, (ids, stopped) in zip(kept, said, strict=True):
        whole = tools.encoder.decode(ids)
        whole = whole if stopped else _without_cut_character(whole)
        text = spoken(whole, opened=opens(tools.encoder.decode(prompts[index][-_OPENING:])))
        found[index] = Answer(text, stopped, len(ids), whole=whole)
    return found


def _without_cut_character(text: str) -> str:
    """The text without the character that the length limit cut: at most three of its bytes."""
    for _ in range(3):
        text = text.removesuffix("\ufffd")
    return text


@torch.inference_mode()
def greedy(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    batch_tokens: int,
    heard: Callable[[float], None] = lambda share: None,
    ended: Callable[[Sequence[int]], bool] | None = None,
) -> list[tuple[list[int], bool]]:
    """The most probable next token, again and again, with a KV cache.

    Prompts of similar length share a batch and are padded on the left. Rows whose answers have
    ended leave it, half of them at a time.

    Args:
        model: a causal LM whose forward takes attention_mask, position_ids and past_key_values.
        prompts: ids, none empty.
        max_new_tokens: where an answer is cut.
        stop_ids: ids that end an answer; not part of it.
        batch_tokens: positions of prompts in one batch; their answers may take it to twice as many,
            since what is cached needs less memory than what is computed.
        heard: called with the share of the prompts that is done, after each batch.
        ended: whether an answer so far needs no more tokens; asked every few tokens, so answers
            may be some tokens longer.

    Returns:
        For each prompt the ids of its answer and whether it ended by a stop id.
    """
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    answers: list[tuple[list[int], bool]] = [([], False)] * len(prompts)
    start = 0
    while start < len(order):
        longest = len(prompts[order[start]])
        rows = min(batch_tokens // longest, 2 * batch_tokens // (longest + max_new_tokens))
        batch = order[start : start + max(1, rows)]
        some = [prompts[one] for one in batch]
        found = _greedy_batch(model, some, max_new_tokens, stop_ids, ended)
        for index, answer in zip(batch, found, strict=True):
            answers[index] = answer
        start += len(batch)
        heard(start / len(order))
    return answers


def _greedy_batch(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop_ids: Sequence[int],
    ended: Callable[[Sequence[int]], bool] | None,
) -> list[tuple[list[int], bool]]:
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    stops = torch.tensor(list(stop_ids), device=device)
    rows = torch.arange(len(prompts), device=device)  # those that are left in the batch
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)
    cache, step = None, ids
    said = torch.full((len(prompts), max_new_tokens), -1, device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    for length in range(1, max_new_tokens + 1):
        output = model(
            input_ids=step,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        step = output.logits[:, -1].argmax(-1, keepdim=True)
        said[rows, length - 1] = step[:, 0]
        running &= ~torch.isin(step[:, 0], stops)
        if ended is not None and length % _ASKED == 0:
            enough = [ended(row) for row in said[rows, :length].tolist()]
            running &= ~torch.tensor(enough, device=device)
        left = int(running.sum())
        if not left:
            break
        mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        positions = positions[:, -1:] + 1
        if 2 * left <= len(rows) and hasattr(cache, "reorder_cache"):
            stay = running.nonzero()[:, 0]
            cache.reorder_cache(stay)  # recurrent layers cannot be selected from, but reordered
            rows, step, mask, positions = (one[stay] for one in (rows, step, mask, positions))
            running = running[stay]
    stop_set = set(stop_ids)
    answers = []
    for row in said.tolist():
        end = next((at for at, one in enumerate(row) if one in stop_set), None)
        answers.append(([one for one in row[:end] if one >= 0], end is not None))
    return answers
