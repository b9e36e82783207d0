"""The generation half of a suite for a model behind an endpoint; resumes, asks no item twice."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from kollama2.errors import BadUsage, Fault
from kollama2.evaluation.endpoint import Reply
from kollama2.evaluation.fidelity import measure_answer
from kollama2.evaluation.items import suite_items
from kollama2.evaluation.journal import append, entries
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.suite import Generation, Suite

Record = dict[str, Any]


class Asks(Protocol):
    """What answers a chat (`endpoint.Endpoint`)."""

    def ask(self, messages: Sequence[dict[str, str]], max_tokens: int) -> Reply:
        """The answer."""


def answer_suite(
    suite: Suite, endpoint: Asks, out: Path, progress: Callable[..., None]
) -> dict[str, Any]:
    """Have every prompt of the suite's generation tasks answered and measured.

    Each answer is kept in `out/replies.jsonl` as soon as it is there, so that an interrupted call
    goes on with the next item. Answers that are empty or refused count as failures.

    Args:
        suite: with data resolved to local files.
        endpoint: the model.
        out: an existing folder.
        progress: called as `progress(done, total, "items", task=...)`.

    Returns:
        What `evaluate` returns, for the generation tasks alone.

    Raises:
        BadUsage: the suite has no generation task.
        Fault: the endpoint failed; what it answered before is kept.
    """
    tasks = {task.name: task for task in suite.tasks if isinstance(task, Generation)}
    if not tasks:
        raise BadUsage(
            f"the suite {suite.name} has no generation task; an endpoint gives no likelihoods, so "
            "it can only answer such tasks"
        )
    rows = {name: read_rows(task) for name, task in tasks.items()}
    kept = {(one["task"], one["item"]): one for one in entries(out / "replies.jsonl")}
    total, done = sum(map(len, rows.values())), len(kept)
    for name, task in tasks.items():
        for row in rows[name]:
            if (name, row["id"]) in kept:
                continue
            progress(done, total, "items", task=name)
            try:
                reply = endpoint.ask(row["messages"], task.max_new_tokens)
            except Fault as fault:
                raise type(fault)(f"{fault} ({done} of {total} items are answered)") from fault
            record = {"task": name, "item": row["id"], **reply._asdict()}
            append(out / "replies.jsonl", record)
            kept[name, row["id"]] = record
            done += 1
    progress(total, total, "items")
    return _measured(suite, rows, kept, out)


def _measured(
    suite: Suite, rows: dict[str, list[Row]], kept: dict[tuple[str, str], Record], out: Path
) -> dict[str, Any]:
    records: list[Record] = []
    samples: list[Record] = []
    counts: dict[str, dict[str, int]] = {}
    for task, each in rows.items():
        count = {"items": len(each), "truncated": 0, "empty": 0, "failed": 0}
        for row in each:
            reply = kept[task, row["id"]]
            # An endpoint does not say its tokens: loops are looked for among the words instead.
            words = {word: at for at, word in enumerate(reply["text"].split())}
            ids = [words[word] for word in reply["text"].split()]
            found = measure_answer(reply["text"], ids, stopped=reply["stopped"])
            count["empty"] += int(found.empty)
            count["failed"] += int(found.empty or found.invalid_utf8 or reply["refused"])
            same = {"task": task, "item": row["id"]}
            for measure, value in found._asdict().items():
                where = {"measure": measure, "cluster": row["cluster"], "weight": 1.0}
                records.append({**same, **where, "value": value})
            samples.append(_sample(same, row, reply))
        counts[task] = count
    _write_lines(out / "items.jsonl", records)
    _write_lines(out / "samples.jsonl", samples)
    scores: dict[str, list[float]] = {}
    for one in records:
        scores.setdefault(f"{one['task']}/{one['measure']}", []).append(one["value"])
    return {
        "scores": {name: sum(values) / len(values) for name, values in scores.items()},
        "counts": counts,
        "flags": {},
        "suite": suite_items(suite)[1],
    }


def _sample(same: Record, row: Row, reply: Record) -> Record:
    sample = {**same, "prompt": row["messages"][-1]["content"], "answer": reply["text"]}
    if row.get("reference"):
        sample["reference"] = row["reference"]
    return {**sample, "tokens": reply["tokens"], "stopped": reply["stopped"]}


def _write_lines(path: Path, lines: Sequence[Record]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
