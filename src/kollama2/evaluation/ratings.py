"""How alike two sentences are: the rating that a model expects, in the order that people give."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from kollama2.errors import BadData
from kollama2.evaluation.kinds import Rating
from kollama2.evaluation.likelihood import Tools, answer_request, scored
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, user

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def rating(task: Rating, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Spearman's rank correlation of expected ratings with people's, as a mean over pairs.

    A model's rating is the mean of the ratings' positions under the softmax of their
    log-likelihoods per byte; `contributions` says what the record of a pair is.

    Raises:
        BadData: people gave all pairs the same rating.
    """
    outcome = Outcome(task.name, items=len(rows))
    requests = [
        [
            answer_request(tools.encoder, user(_asked(prompt, row)), one)
            for prompt in task.prompts
            for one in task.ratings
        ]
        for row in rows
    ]
    found = scored(rows, requests, tools, outcome)
    if not found:
        return outcome
    golds = np.array([float(row["gold"]) for row, _ in found])
    if len(np.unique(golds)) < 2:
        raise BadData(f"task {task.name}: all pairs have the same rating, so there is no order")
    tables = np.array([scores for _, scores in found])
    sizes = [len(one.encode()) for one in task.ratings]
    expected = _expected(tables.reshape(-1, len(task.prompts), len(sizes)), sizes)
    parts = np.stack([contributions(column, golds) for column in expected.T], axis=1)
    if not parts.any():
        outcome.flags.append("all pairs get the same rating, so there is no order")
    for (row, _), values, ratings in zip(found, parts.tolist(), expected, strict=True):
        outcome.add(row, "spearman", math.fsum(values) / len(values), by_prompt=values)
        asked, answer = _asked(task.prompts[0], row), f"{ratings.mean():.3f}"
        outcome.show(row, asked, answer, {"reference": str(row["gold"])})
    return outcome


def contributions(left: Floats, right: Floats) -> Floats:
    """What each pair of values adds to Spearman's correlation; the mean is the correlation.

    That is the correlation and the pair's influence on it (Croux and Dehon, Stat. Methods Appl.
    2010): beside the product of its two ranks, what it does to the ranks of all others. So their
    spread is that of a new sample's correlation; the products alone scatter up to twice as much.

    Args:
        left: shape (pairs,); a column of equal values gives zeros.
        right: shape (pairs,).
    """
    x, y = _standard(left), _standard(right)
    own = x * y
    moved = own + math.sqrt(12) * (_above(x, y) + _above(y, x))
    found: Floats = own.mean() + moved - moved.mean()
    return found


def _above(values: Floats, others: Floats) -> Floats:
    """For each value the mean of what goes with the greater ones, and half with the equal ones."""
    _, place = np.unique(values, return_inverse=True)
    level = np.bincount(place, others)
    found: Floats = (level[::-1].cumsum()[::-1] - level / 2)[place] / len(values)
    return found


def _asked(prompt: str, row: Row) -> str:
    # In one pass, so that a sentence with {second} in it stays as it is.
    before, _, rest = prompt.partition("{first}")
    between, _, after = rest.partition("{second}")
    return f"{before}{row['first']}{between}{row['second']}{after}"


def _expected(tables: Floats, sizes: Sequence[int]) -> Floats:
    """Expected positions, shape (pairs, prompts), of log-likelihoods (pairs, prompts, ratings)."""
    per_byte = tables / np.array(sizes)
    p = np.exp(per_byte - per_byte.max(axis=2, keepdims=True))
    found: Floats = (p / p.sum(axis=2, keepdims=True)) @ np.arange(len(sizes), dtype=np.float64)
    return found


def _standard(values: Floats) -> Floats:
    """Ranks in standard deviations from their mean; ties share a rank, all equal values have 0."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    spread = float(ranks.std())
    found: Floats = (ranks - ranks.mean()) / spread if spread else np.zeros(len(ranks))
    return found
