"""The items of a suite without a model: what they say, and the id that follows from it."""

from typing import NamedTuple

from kollama2.evaluation.chats import ExactMatch, InstructionRules
from kollama2.evaluation.kinds import Harness, Induction, Mean
from kollama2.evaluation.rows import Row, read_rows, rows_digest
from kollama2.evaluation.suite import Suite


class SuiteItems(NamedTuple):
    """What a suite shows to every model.

    Attributes:
        rows: by task, for every task that reads data; those of lm-eval's have `id`, `cluster` and
            `text`.
        examples: by task, what its few-shot examples are chosen from (`id` and `text`).
        suite: the suite's id, `Suite.hash`.
    """

    rows: dict[str, list[Row]]
    examples: dict[str, list[Row]]
    suite: str


def suite_items(suite: Suite) -> SuiteItems:
    """The items of a suite.

    Args:
        suite: with data resolved to local places.

    Raises:
        BadData: a data file cannot be used.
        BadUsage: there is no such lm-eval task.
    """
    rows: dict[str, list[Row]] = {}
    examples: dict[str, list[Row]] = {}
    digests: dict[str, str] = {}
    for task in suite.tasks:
        if isinstance(task, Harness):
            from kollama2.evaluation.harness import harness_texts  # imports lm-eval and torch

            found = harness_texts(task)
            rows[task.name], digests[task.name] = found.items, found.digest
            if found.examples:
                examples[task.name] = found.examples
        elif not isinstance(task, Induction | Mean):
            rows[task.name] = read_rows(task)
            if isinstance(task, ExactMatch | InstructionRules):
                digests[task.name] = rows_digest(rows[task.name])
    return SuiteItems(rows, examples, suite.hash(digests))
