"""The generation half of a suite for a model behind an endpoint; resumes, asks no item twice."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kollama2.errors import BadUsage, Fault
from kollama2.evaluation.answers import Answer
from kollama2.evaluation.endpoint import Endpoint
from kollama2.evaluation.exact import outcome_of, questions
from kollama2.evaluation.items import suite_items
from kollama2.evaluation.journal import append, entries
from kollama2.evaluation.kinds import Mean
from kollama2.evaluation.means import mean
from kollama2.evaluation.outcome import keep
from kollama2.evaluation.rows import read_rows
from kollama2.evaluation.suite import Asked, Suite
from kollama2.evaluation.thoughts import spoken
from kollama2.locale import mark
from kollama2.records.done import Evaluation


def answer_suite(
    suite: Suite, endpoint: Endpoint, out: Path, progress: Callable[..., None]
) -> dict[str, Any]:
    """Have every prompt of the suite's tasks that are answered in chat answered and measured.

    Each answer is kept in `out/replies.jsonl` as soon as it is there, so that an interrupted call
    goes on with the next item. Answers that are empty or refused count as failures.

    Args:
        suite: with data resolved to local files.
        endpoint: the model.
        out: an existing folder.
        progress: called as `progress(done, total, "items", task=...)`.

    Returns:
        What `evaluate` returns, for these tasks alone.

    Raises:
        BadUsage: the suite has no such task.
        Fault: the endpoint failed; what it answered before is kept.
    """
    tasks = [task for task in suite.tasks if isinstance(task, Asked)]
    if not tasks:
        raise BadUsage(
            f"the suite {suite.name} has no task that is answered in chat; an endpoint gives "
            "no likelihoods, so it can only answer such tasks"
        )
    rows = {task.name: read_rows(task) for task in tasks}
    asked = {task.name: questions(task, rows[task.name]) for task in tasks}
    kept = {(one["task"], one["item"]): one for one in entries(out / "replies.jsonl")}
    total, done = sum(map(len, asked.values())), len(kept)
    for task in tasks:
        for question in asked[task.name]:
            place = (task.name, question.item)
            if place in kept:
                continue
            progress(done, total, mark("items"), task=task.name)
            try:
                reply = endpoint.ask(question.messages, task.max_new_tokens)
            except Fault as fault:
                raise type(fault)(f"{fault} ({done} of {total} items are answered)") from fault
            kept[place] = {"task": task.name, "item": question.item, **reply._asdict()}
            append(out / "replies.jsonl", kept[place])
            done += 1
    progress(total, total, mark("items"))
    outcomes = [
        outcome_of(
            task,
            rows[task.name],
            asked[task.name],
            [_answer(kept[task.name, one.item]) for one in asked[task.name]],
        )
        for task in tasks
    ]
    records = [record for outcome in outcomes for record in outcome.records]
    known = {f"{one['task']}/{one['measure']}" for one in records}
    outcomes += [
        mean(one, records)
        for one in suite.tasks
        if isinstance(one, Mean) and known.issuperset(part.measure for part in one.parts)
    ]
    _, measured = keep(outcomes, out)
    flags = {outcome.task: outcome.flags for outcome in outcomes if outcome.flags}
    return Evaluation(**measured, flags=flags, suite=suite_items(suite).suite).plain()


def _answer(reply: Mapping[str, Any]) -> Answer:
    text = spoken(reply["text"])
    return Answer(text, reply["stopped"], reply["tokens"], reply["refused"], reply["text"])
