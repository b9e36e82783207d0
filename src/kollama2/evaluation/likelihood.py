"""Measures of likelihood: bits per byte, instruction gain, translation PMI."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kollama2.errors import BadData
from kollama2.evaluation.kinds import BitsPerByte, InstructionGain, TranslationPmi
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, user
from kollama2.evaluation.scorer import Encoder, Request, Scorer
from kollama2.evaluation.windows import Window, byte_windows, window_request

_BITS_OF_A_LOST_BYTE = 8


class Tools(NamedTuple):
    """What a task is measured with; `heard` is told the share of the task that is done."""

    scorer: Scorer
    encoder: Encoder
    heard: Callable[[float], None] = lambda share: None


def bits_per_byte(task: BitsPerByte, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits and bytes of each text, scored in windows of equal bytes; what it follows is not.

    A text follows BOS or, where the tokenizer has none, the token that ends documents: that is
    where it begins in pre-training, lm-eval does the same, and every byte is scored.

    What a tokenizer changes ("…" to "...") is scored as it is changed, and every byte of the text
    that its ids do not give back costs 8 bits, the price of one that nothing is known about: so it
    gains nothing by losing text, and the bytes are those of every other model.
    """
    outcome = Outcome(task.name, items=len(rows))
    windows: dict[str, list[Window]] = {
        row["id"]: [
            window_request(tools.encoder, *cut)
            for cut in byte_windows(row["text"], task.window, task.context)
        ]
        for row in rows
    }
    changed = {name: sum(one.changed for one in found) for name, found in windows.items()}
    outcome.flags += changes(rows, changed)
    requests = [
        [one.request for one in windows[row["id"]] if one.request.continuation] for row in rows
    ]
    for row, scores in scored(rows, requests, tools, outcome):
        lost = changed[row["id"]]
        value = bits(scores) + _BITS_OF_A_LOST_BYTE * lost
        details = {"changed": lost} if lost else {}
        outcome.add(row, "bpb", value, len(row["text"].encode()), details=details)
    return outcome


def changes(rows: Sequence[Row], changed: Mapping[str, int]) -> list[str]:
    """A flag that says how much of the texts a tokenizer changes, by the ids of the rows."""
    items = sum(one > 0 for one in changed.values())
    if not items:
        return []
    total = sum(len(row["text"].encode()) for row in rows)
    return [
        f"the tokenizer changes {sum(changed.values()):,} of {total:,} bytes in {items} of "
        f"{len(rows)} items"
    ]


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
    requests = [
        [
            answer_request(tools.encoder, user(prompt.replace("{source}", text)), row[target])
            for source, target, prompts in directions
            for prompt in prompts
            for text in (row[source], "")
        ]
        for row in rows
    ]
    for row, scores in scored(rows, requests, tools, outcome):
        given = iter(scores)
        for source, target, prompts in directions:
            size = math.log(2) * len(row[target].encode())
            saved = [(next(given) - next(given)) / size for _ in prompts]
            value = math.fsum(saved) / len(saved)
            outcome.add(row, f"pmi_{source}_{target}", value, by_prompt=saved)
    return outcome


def answer_request(encoder: Encoder, messages: Sequence[dict[str, str]], answer: str) -> Request:
    """The request that scores an answer to a chat; neither its lead nor its end is scored."""
    return Request((*encoder.prompt(messages), *encoder.lead), tuple(encoder.answer(answer)))


def bits(log_likelihoods: Sequence[float]) -> float:
    """Bits of a sum of natural log-likelihoods."""
    return -math.fsum(log_likelihoods) / math.log(2)


def scored(
    rows: Sequence[Row], requests: Sequence[Sequence[Request]], tools: Tools, outcome: Outcome
) -> list[tuple[Row, list[float]]]:
    """Each row with the log-likelihoods of its requests.

    Rows that do not fit, and those with a text that has no token of its own, are counted.

    Raises:
        BadData: a log-likelihood is not finite.
    """
    told = [
        (row, wanted)
        for row, wanted in zip(rows, requests, strict=True)
        if all(one.continuation for one in wanted)
    ]
    outcome.leave_out(len(rows) - len(told))
    kept = [(row, wanted) for row, wanted in told if all(map(tools.scorer.fits, wanted))]
    outcome.truncated = len(told) - len(kept)
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
