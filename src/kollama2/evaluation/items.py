"""The items of a suite without a model: what they say, and the id that follows from it."""

from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.suite import Harness, Induction, Mean, Suite


def suite_items(suite: Suite) -> tuple[dict[str, list[Row]], str]:
    """The rows of every task that reads data, and the suite's id.

    Args:
        suite: with data resolved to local places.

    Returns:
        Rows by task, and `Suite.hash`. An lm-eval task's rows have `id`, `cluster` and `text`.

    Raises:
        BadData: a data file cannot be used.
        BadUsage: there is no such lm-eval task.
    """
    rows: dict[str, list[Row]] = {}
    digests: dict[str, str] = {}
    for task in suite.tasks:
        if isinstance(task, Harness):
            from kollama2.evaluation.harness import harness_rows  # imports lm-eval and torch

            rows[task.name], digests[task.name] = harness_rows(task)
        elif not isinstance(task, Induction | Mean):
            rows[task.name] = read_rows(task)
    return rows, suite.hash(digests)
