"""A judge model compares answers: pairwise, in both orders, language first, nothing asked twice."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kollama2.arena.pairs import Answers, Pair, answers
from kollama2.errors import storage
from kollama2.evaluation.endpoint import Reply
from kollama2.evaluation.fidelity import measure_answer
from kollama2.evaluation.journal import append, entries
from kollama2.korean import hangul
from kollama2.reporting.preferences import files
from kollama2.reporting.study import Study

PROMPT = """\
You compare two answers to a request made in Korean. Judge whether what they say is right and \
useful, whether they do what was asked, and whether their Korean is natural. Do not let the order \
of the answers, their length or their style of layout decide.

[Request]
{prompt}

[Answer A]
{a}

[Answer B]
{b}

Reply with one word: A if answer A is better, B if answer B is better, TIE if neither is.\
"""
MAX_TOKENS = 16
LONGEST = 6_000  # characters of an answer that the judge reads

Choice = Literal["left", "right", "tie", "bad"]
_VERDICT = re.compile(r"\b(A|B|TIE)\b")


class Asks(Protocol):
    """What answers a chat (`evaluation.endpoint.Endpoint`)."""

    model: str

    def ask(self, messages: Sequence[dict[str, str]], max_tokens: int) -> Reply:
        """The answer."""


@dataclass(frozen=True)
class Judged:
    """What one call did: pairs in all, questions asked now, pairs that language decided."""

    pairs: int
    asked: int
    gated: int


def judge(
    study: Study,
    endpoint: Asks,
    *,
    against: str | None,
    limit: int | None = None,
    jobs: int = 4,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Judged:
    """Have a judge compare the answers of a study; verdicts go to `judgements.jsonl`.

    An answer to a Korean request that is not Korean loses without being read, because judges
    reward wrong languages; two such answers tie. The others are asked about in both orders. What
    the file holds already is not asked again, so an interrupted call goes on where it was.

    Args:
        study: a study with free answers.
        endpoint: the judge.
        against: compare every recipe with this one only; None compares all pairs.
        limit: at most so many prompts.
        jobs: questions at a time.
        progress: told the questions that are answered, of how many.

    Raises:
        BadUsage: the study has no two recipes with answers.
        Fault: the endpoint failed; the verdicts before it are kept.
    """
    found = answers(study)
    prompts = list(found.prompts)[:limit]
    pairs = [one for one in found.pairs(against) if (one.task, one.item) in prompts]
    path = files(study)[1]
    name = name_of(endpoint.model)
    with storage(path):
        known = {
            (line.get("task"), line.get("item"), line.get("left"), line.get("right"))
            for line in entries(path)
            if line.get("judge") == name
        }
    todo: list[Pair] = []
    gated = 0
    for pair in pairs:
        choice = gate(found, pair)
        both = [pair, Pair(pair.task, pair.item, pair.right, pair.left)]
        missing = [one for one in both if (one.task, one.item, one.left, one.right) not in known]
        if choice is None:
            todo += missing
            continue
        gated += 1
        if len(missing) == len(both):
            _keep(path, found, pair, name, choice, gate=True)

    done = 0

    def ask(pair: Pair) -> None:
        text = PROMPT.format(
            prompt=found.prompts[pair.task, pair.item].prompt,
            a=found.text(pair.left, pair)[:LONGEST],
            b=found.text(pair.right, pair)[:LONGEST],
        )
        reply = endpoint.ask([{"role": "user", "content": text}], MAX_TOKENS)
        _keep(path, found, pair, name, verdict(reply.text), reply=reply.text)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = [pool.submit(ask, pair) for pair in todo]
        try:
            for one in waiting:
                one.result()
                done += 1
                progress(done, len(todo))
        except BaseException:
            for one in waiting:
                one.cancel()
            raise
    return Judged(len(pairs), done, gated)


def gate(found: Answers, pair: Pair) -> Choice | None:
    """What language and plain faults (echoes, loops) decide; None where both answers may be read.

    A request whose reference answer is not Korean (a translation into English) has no gate.
    """
    reference = found.prompts[pair.task, pair.item].reference
    if reference and hangul.share(reference) < 0.5:
        return None
    question = found.prompts[pair.task, pair.item].prompt
    left, right = (
        measure_answer(found.text(one, pair), stopped=True, question=question).fidelity == 1
        for one in (pair.left, pair.right)
    )
    if left and right:
        return None
    return "left" if left else "right" if right else "bad"


def verdict(text: str) -> Choice | None:
    """The verdict in a reply: its last word of the three; None if there is none."""
    found = _VERDICT.findall(text.upper())
    choices: dict[str, Choice] = {"A": "left", "B": "right", "TIE": "tie"}
    return choices[found[-1]] if found else None


def name_of(model: str) -> str:
    """The judge's name in the records: verdicts on another question never mix with these."""
    return f"{model} ({hashlib.sha256(PROMPT.encode()).hexdigest()[:6]})"


def _keep(
    path: Any, found: Answers, pair: Pair, name: str, choice: Choice | None, **more: Any
) -> None:
    record = {
        "judge": name,
        "task": pair.task,
        "item": pair.item,
        "left": pair.left,
        "right": pair.right,
        "choice": choice,
        "length": [len(found.text(one, pair)) for one in (pair.left, pair.right)],
        **more,
    }
    with storage(path):
        append(path, record)
