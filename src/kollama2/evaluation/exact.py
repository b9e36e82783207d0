"""Answers in chat that are right or wrong: what is asked, and what the extractors find in it."""

import math
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from torch import nn

from kollama2.errors import BadData
from kollama2.evaluation import answers as free
from kollama2.evaluation.answers import Answer, Question
from kollama2.evaluation.chats import ExactMatch, InstructionRules
from kollama2.evaluation.choices import degenerate
from kollama2.evaluation.extract import letter, number, written
from kollama2.evaluation.faults import template_marks
from kollama2.evaluation.kinds import Generation, Translation
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, rows_digest, user
from kollama2.evaluation.rules import followed, unknown
from kollama2.evaluation.suite import Asked

# More answers than this without anything to extract say that the format, or the limit of tokens,
# was measured rather than the knowledge.
_UNANSWERED = 0.05
# What is said in the prompt that shows the marks of a template.
_PROBE = "가"
Pairs: TypeAlias = Sequence[tuple[Question, Answer | None]]


def questions(task: Asked, rows: Sequence[Row]) -> list[Question]:
    """What a task asks about its rows, each row's paraphrases one after the other.

    Raises:
        BadData: all rows are examples.
    """
    if isinstance(task, Generation | Translation):
        return free.questions(task, rows)
    if isinstance(task, InstructionRules):
        return [
            Question(row, row["id"], user(row["question"]), row["question"], None)
            for row in rows
            if not unknown(row["rules"], row["arguments"])
        ]
    if len(rows) <= task.shots:
        raise BadData(
            f"task {task.name}: its {task.shots} shots are the first of {len(rows)} rows, so none "
            "are left to ask; lower `shots` or raise the limit"
        )
    return [
        Question(
            row,
            row["id"] if at == 0 else f"{row['id']} prompt {at + 1}",
            [*_examples(task, prompt, rows), *user(_filled(prompt, row))],
            _filled(prompt, row),
            row["reference"],
        )
        for row in rows[task.shots :]
        for at, prompt in enumerate(task.prompts)
    ]


def outcome_of(
    task: Asked,
    rows: Sequence[Row],
    asked: Sequence[Question],
    said: Sequence[Answer | None],
    marks: Collection[str] = (),
) -> Outcome:
    """The measures of all answers; a question whose answer is None did not fit the model.

    Args:
        task: a task of the suite.
        rows: its rows.
        asked: `questions(task, rows)`.
        said: the answers, one for each question.
        marks: those of the model's own chat template, which no free answer should hold.
    """
    if isinstance(task, Generation | Translation):
        return free.judged(task, rows, asked, said, marks)
    outcome = Outcome(task.name, digest=rows_digest(rows))
    pairs = list(zip(asked, said, strict=True))
    if isinstance(task, InstructionRules):
        outcome.items = len(rows)
        _rules(outcome, rows, pairs)
    else:
        outcome.items = len(rows) - task.shots
        _exact(outcome, task, pairs)
    return outcome


def answered(task: Asked, rows: Sequence[Row], tools: Any, model: nn.Module) -> Outcome:
    """The measures of a model at hand, by its greedy answers.

    What is checked exactly is answered in half of what a model sees that sees less than twice
    `max_new_tokens`, so that there is room for the questions; a flag says so.

    Args:
        task: a task of the suite.
        rows: its rows.
        tools: `likelihood.Tools`.
        model: a causal LM, see `generate.greedy`.
    """
    from kollama2.evaluation.generate import answers  # the endpoint's half needs no torch

    asked = questions(task, rows)
    prompts = [tools.encoder.prompt(one.messages) for one in asked]
    limit, seen, marks = task.max_new_tokens, tools.scorer.max_length, set[str]()
    if isinstance(task, Generation | Translation):
        probe = tools.encoder.decode(tools.encoder.prompt(user(_PROBE)))
        marks = template_marks(probe, _PROBE)
    else:
        limit = min(limit, seen // 2)
    outcome = outcome_of(task, rows, asked, answers(prompts, tools, model, limit), marks)
    if limit < task.max_new_tokens:
        outcome.flags.append(
            f"answers are cut at {limit} tokens, not {task.max_new_tokens}: the model sees {seen}"
        )
    return outcome


def _filled(prompt: str, row: Row) -> str:
    return prompt.replace("{question}", row["question"])


def _examples(task: ExactMatch, prompt: str, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The turns of the examples, which are the first rows."""
    turns: list[dict[str, str]] = []
    for row in rows[: task.shots]:
        shown = {"role": "assistant", "content": task.shown.replace("{gold}", row["reference"])}
        turns += [*user(_filled(prompt, row)), shown]
    return turns


def _exact(outcome: Outcome, task: ExactMatch, pairs: Pairs) -> None:
    chosen: list[tuple[Row, int]] = []
    unanswered = asked = 0
    for _, group in groupby(pairs, key=lambda pair: pair[0].row["id"]):
        row, answers = _whole(outcome, list(group))
        if not answers:
            continue
        found = [_extracted(task, row, answer.text) for answer in answers]
        hits = [float(one in row["golds"]) for one in found]
        reached = [float(one is not None) for one in found]
        for name, values in (("exact", hits), ("extracted", reached)):
            outcome.add(row, name, math.fsum(values) / len(values), by_prompt=values)
        asked += len(found)
        unanswered += found.count(None)
        if found[0] is not None and "choices" in row:
            chosen.append((row, row["choices"].index(found[0])))
        sample = {"reference": row["reference"], "extracted": found[0]}
        if "choices" in row:
            sample["choices"] = row["choices"]
        _sample(outcome, row, _filled(task.prompts[0], row), answers[0], sample)
    outcome.also["unanswered"] = unanswered
    if unanswered > _UNANSWERED * asked:
        outcome.flags.append(f"{unanswered} of {asked} answers hold nothing that can be extracted")
    outcome.flags.extend(degenerate(chosen))


def _extracted(task: ExactMatch, row: Row, text: str) -> str | None:
    if task.extract == "letter":
        return letter(text, row["choices"])
    value = number(text)
    return None if value is None else written(value)


def _rules(outcome: Outcome, rows: Sequence[Row], pairs: Pairs) -> None:
    for pair in pairs:
        row, answers = _whole(outcome, [pair])
        if not answers:
            continue
        verdicts = followed(row["rules"], row["arguments"], answers[0].text)
        # Broken bytes would keep every rule about what must not be there.
        broken_text = "\ufffd" in answers[0].text
        kept = [one is True and not broken_text for one in verdicts]
        outcome.add(row, "follows", float(all(kept)))
        outcome.add(row, "kept", float(sum(kept)), float(len(kept)))
        broken = [name for name, one in zip(row["rules"], kept, strict=True) if not one]
        _sample(outcome, row, row["question"], answers[0], {"broken": broken})
    left = [name for row in rows for name in unknown(row["rules"], row["arguments"])]
    outcome.also["unknown_rules"] = outcome.items - len(pairs)
    if left:
        names = ", ".join(sorted(set(left)))
        outcome.flags.append(
            f"{outcome.items - len(pairs)} of {outcome.items} items are left out: they have rules "
            f"that cannot be decided ({names})"
        )


def _whole(outcome: Outcome, group: Pairs) -> tuple[Row, list[Answer]]:
    """A row and its answers; none, and counted, where one of its prompts does not fit the model."""
    row = group[0][0].row
    answers = [answer for _, answer in group if answer is not None]
    if len(answers) < len(group):
        outcome.truncated += 1
        return row, []
    outcome.empty += any(not one.text.strip() for one in answers)
    outcome.failed += any(one.failed for one in answers)
    return row, answers


def _sample(outcome: Outcome, row: Row, prompt: str, answer: Answer, more: dict[str, Any]) -> None:
    counted = {"tokens": answer.tokens, "stopped": answer.stopped}
    outcome.show(row, prompt, answer.text, {**answer.thoughts, **more, **counted})
