"""Measures of likelihood: bits per byte, instruction gain, translation PMI."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from kollama2.errors import BadData, BadUsage
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Encoder, Request, Scorer
from kollama2.evaluation.suite import (
    BitsPerByte,
    InstructionGain,
    TranslationPmi,
)
from kollama2.evaluation.windows import byte_windows, window_request

# Fields of rows that are measured or say which item it is.
_MEASURED = frozenset(
    "id cluster task measure item value weight text en ko messages answer reference "
    "question choices gold by_prompt".split()
)
_LONGEST_DETAIL = 40


class Tools(NamedTuple):
    """What a task is measured with; `heard` is told the share of the task that is done."""

    scorer: Scorer
    encoder: Encoder
    heard: Callable[[float], None] = lambda share: None


@dataclass
class Outcome:
    """Records and samples of a task; `truncated` items did not fit the model and have none.

    `corpus` holds scores of the whole that are no mean over items, with their signatures,
    `reproduced` lm-eval's own aggregates by its tasks and metrics, `digest` the hash of an lm-eval
    task's texts.
    """

    task: str
    records: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    items: int = 0
    truncated: int = 0
    empty: int = 0
    failed: int = 0
    flags: list[str] = field(default_factory=list)
    corpus: dict[str, dict[str, Any]] = field(default_factory=dict)
    reproduced: dict[str, dict[str, float]] = field(default_factory=dict)
    digest: str = ""

    def add(
        self,
        row: Row,
        measure: str,
        value: float,
        weight: float = 1.0,
        details: Mapping[str, Any] = MappingProxyType({}),
        by_prompt: Sequence[float] = (),
    ) -> None:
        """One record: the score of the measure is sum(value) / sum(weight) over its records.

        `by_prompt` are the values under each paraphrase of the prompt, whose mean `value` is.
        """
        prompts = {"by_prompt": list(by_prompt)} if len(by_prompt) > 1 else {}
        self.records.append(
            {
                "task": self.task,
                "measure": measure,
                "item": row["id"],
                "cluster": row["cluster"],
                "value": value,
                "weight": weight,
                **row_details(row),
                **details,
                **prompts,
            }
        )


def row_details(row: Row) -> dict[str, str | int | bool]:
    """What a row says about itself beside what is measured (`known_in`, `kind`), if short."""
    return {
        key: value
        for key, value in row.items()
        if key not in _MEASURED
        and isinstance(value, str | int | bool)
        and len(str(value)) <= _LONGEST_DETAIL
    }


def bits_per_byte(task: BitsPerByte, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits and bytes of each text, scored in windows of equal bytes; BOS is never scored.

    Raises:
        BadData: ids do not give the text back, so part of its loss would be hidden.
        BadUsage: the encoder has no BOS, so the first token could not be scored.
    """
    if tools.encoder.bos_id is None:
        raise BadUsage(f"task {task.name}: bits per byte need a BOS id, this tokenizer has none")
    windows: list[list[Request]] = []
    lossy: list[str] = []
    for row in rows:
        cuts = byte_windows(row["text"], task.window, task.context)
        found = [window_request(tools.encoder, *cut) for cut in cuts]
        windows.append([request for request in found if request is not None])
        if None in found:
            lossy.append(row["id"])
    if lossy:
        raise BadData(
            f"task {task.name}: the tokenizer loses text of {len(lossy)} of {len(rows)} items "
            f"(first: {lossy[0]}); bits per byte need decode(encode(text)) == text"
        )
    outcome = Outcome(task.name, items=len(rows))
    for row, scores in scored(rows, windows, tools, outcome):
        outcome.add(row, "bpb", bits(scores), len(row["text"].encode()))
    return outcome


def instruction_gain(task: InstructionGain, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits per byte of each answer under a wrong prompt minus those under its own."""
    own, wrong = [row["messages"] for row in rows], wrong_prompts(rows)
    outcome = Outcome(task.name, items=len(rows))
    pairs = [
        [answer_request(tools.encoder, prompt, row["answer"]) for prompt in prompts]
        for row, prompts in zip(rows, zip(own, wrong, strict=True), strict=True)
    ]
    for row, (right, other) in scored(rows, pairs, tools, outcome):
        size = len(row["answer"].encode())
        with_own, with_other = bits([right]) / size, bits([other]) / size
        outcome.add(row, "gain", with_other - with_own, details={"bits": with_own})
    return outcome


def wrong_prompts(rows: Sequence[Row]) -> list[list[dict[str, str]]]:
    """For each row the prompt of another one, nearest in length, with another cluster and answer.

    Length is in bytes, so every tokenizer gets the same pairs.

    Raises:
        BadData: a row finds no other one with another cluster and answer.
    """

    def length(index: int) -> int:
        return sum(len(message["content"].encode()) for message in rows[index]["messages"])

    order = sorted(range(len(rows)), key=lambda index: (length(index), rows[index]["id"]))
    wrong: list[list[dict[str, str]]] = [[] for _ in rows]
    for place, index in enumerate(order):
        row = rows[index]
        for step in range(1, len(order)):
            # Neighbours alternate: next, previous, second next, ...
            near = [order[at] for at in (place + step, place - step) if 0 <= at < len(order)]
            fitting = [
                one
                for one in near
                if rows[one]["cluster"] != row["cluster"] and rows[one]["answer"] != row["answer"]
            ]
            if fitting:
                wrong[index] = rows[fitting[0]]["messages"]
                break
        else:
            raise BadData(f"item {row['id']}: no other item can lend it a wrong prompt")
    return wrong


def translation_pmi(task: TranslationPmi, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits per byte that the source saves on its translation, against the same empty prompt."""
    outcome = Outcome(task.name, items=len(rows))
    directions = (("en", "ko", task.to_korean), ("ko", "en", task.to_english))
    requests: list[list[Request]] = []
    for row in rows:
        requests.append(
            [
                answer_request(tools.encoder, user(prompt.replace("{source}", text)), row[target])
                for source, target, prompts in directions
                for prompt in prompts
                for text in (row[source], "")
            ]
        )
    for row, scores in scored(rows, requests, tools, outcome):
        given = iter(scores)
        for source, target, prompts in directions:
            size = math.log(2) * len(row[target].encode())
            saved = [(next(given) - next(given)) / size for _ in prompts]
            value = math.fsum(saved) / len(saved)
            outcome.add(row, f"pmi_{source}_{target}", value, by_prompt=saved)
    return outcome


def user(content: str) -> list[dict[str, str]]:
    """A chat of one message by the user."""
    return [{"role": "user", "content": content}]


def answer_request(encoder: Encoder, messages: Sequence[dict[str, str]], answer: str) -> Request:
    """The request that scores an answer to a chat; the end of the answer is not scored."""
    return Request(tuple(encoder.prompt(messages)), tuple(encoder.answer(answer)))


def bits(log_likelihoods: Sequence[float]) -> float:
    """Bits of a sum of natural log-likelihoods."""
    return -math.fsum(log_likelihoods) / math.log(2)


def scored(
    rows: Sequence[Row], requests: Sequence[Sequence[Request]], tools: Tools, outcome: Outcome
) -> list[tuple[Row, list[float]]]:
    """Each row with the log-likelihoods of its requests; rows that do not fit are counted.

    Raises:
        BadData: a log-likelihood is not finite.
    """
    kept = [
        (row, wanted)
        for row, wanted in zip(rows, requests, strict=True)
        if all(map(tools.scorer.fits, wanted))
    ]
    outcome.truncated = len(rows) - len(kept)
    flat = [request for _, wanted in kept for request in wanted]
    found = tools.scorer.score(flat, tools.heard)
    broken = int((~np.isfinite(found)).sum())
    if broken:
        raise BadData(
            f"task {outcome.task}: the model gives no finite probability in {broken} of "
            f"{len(flat)} places; its weights are broken, as after a training that diverged"
        )
    scores = iter(found.tolist())
    return [(row, [next(scores) for _ in wanted]) for row, wanted in kept]
