"""Multiple choice by likelihood: P(gold), accuracy, margin, Brier score, degenerate classes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kollama2.evaluation.kinds import MultipleChoice
from kollama2.evaluation.likelihood import Tools, answer_request, scored
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, user


def multiple_choice(task: MultipleChoice, rows: Sequence[Row], tools: Tools) -> Outcome:
    """P(gold), accuracy, margin and Brier score of each item.

    The rule, for every task: a choice's score is its log-likelihood divided by its UTF-8 bytes;
    probabilities are the softmax of the scores over the item's choices (nats per byte).
    """
    outcome = Outcome(task.name, items=len(rows))
    requests = [
        [
            answer_request(tools.encoder, messages, choice)
            for messages in _questions(task, row)
            for choice in row["choices"]
        ]
        for row in rows
    ]
    chosen: list[tuple[Row, int]] = []
    for row, scores in scored(rows, requests, tools, outcome):
        sizes = np.array([len(choice.encode()) for choice in row["choices"]])
        sums = np.array(scores).reshape(-1, len(sizes))
        table = sums / sizes
        prompts = [
            {
                **choice_measures(table[[at]], row["gold"]),
                "acc": choice_measures(sums[[at]], row["gold"])["accuracy"],
            }
            for at in range(len(table))
        ]
        for name in prompts[0]:
            values = [one[name] for one in prompts]
            outcome.add(row, name, math.fsum(values) / len(values), by_prompt=values)
        best = int(table.mean(axis=0).argmax())
        chosen.append((row, best))
        gold = {"reference": row["choices"][row["gold"]], "choices": row["choices"]}
        outcome.show(
            row,
            _questions(task, row)[0][-1]["content"],
            row["choices"][best],
            {**gold, "chosen": best, "gold": row["gold"]},
        )
    outcome.flags.extend(degenerate(chosen))
    return outcome


def choice_measures(per_byte: np.ndarray[Any, np.dtype[np.float64]], gold: int) -> dict[str, float]:
    """Measures of one item from log-likelihoods per byte, shape (prompts, choices), nats.

    Each is computed per prompt and averaged.
    """
    shifted = np.exp(per_byte - per_byte.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    best = per_byte == per_byte.max(axis=1, keepdims=True)
    others = np.delete(per_byte, gold, axis=1).max(axis=1)
    truth = np.zeros(per_byte.shape[1])
    truth[gold] = 1
    return {
        "p_gold": float(p[:, gold].mean()),
        "accuracy": float((best[:, gold] / best.sum(axis=1)).mean()),
        "margin": float((per_byte[:, gold] - others).mean() / math.log(2)),
        "brier": float(((p - truth) ** 2).sum(axis=1).mean()),
    }


def degenerate(chosen: Sequence[tuple[Row, int]]) -> list[str]:
    """A flag if one class gets more than 95 % of the answers and the truth does not have it so.

    `chosen` holds each item, with its choices and gold, and the position that was chosen. A class
    is a label where all items share their choices (예 / 아니오), else a position. Fewer than 20
    items must be so many that guesses in the shares of the truth are all alike less than once in
    20 times.
    """
    labels = len({tuple(sorted(row["choices"])) for row, _ in chosen}) == 1

    def share(picks: Sequence[tuple[Row, int]], label: object) -> float:
        same = [(row["choices"][at] if labels else at) == label for row, at in picks]
        return same.count(True) / len(same)

    golds = [(row, row["gold"]) for row, _ in chosen]
    for label in {(row["choices"][at] if labels else at) for row, at in chosen}:
        often = share(golds, label)
        guessed = max(often, 1 / len(chosen[0][0]["choices"]))
        enough = len(chosen) >= 20 or guessed ** len(chosen) < 0.05
        if enough and share(chosen, label) > 0.95 >= often:
            name = repr(label) if labels else f"choice {int(label) + 1}"
            return [f"degenerate: {share(chosen, label):.0%} of answers are {name}"]
    return []


def _questions(task: MultipleChoice, row: Row) -> list[list[dict[str, str]]]:
    """The row's own messages, or its question in each of the task's prompts."""
    if row.get("messages"):
        return [row["messages"]]
    return [user(prompt.replace("{question}", row["question"])) for prompt in task.prompts]
