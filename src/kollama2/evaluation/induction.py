"""Learning within the context: can a model repeat, look up and use what it has just read?

The words of `induction` are random syllables, so neither knowledge nor a training text can help,
and every model sees the same bytes. Models of a few million parameters do no better than chance
there; what they have of a context shows in running text.
"""

import random
from collections.abc import Sequence

import numpy as np

from kollama2.evaluation.choices import choice_measures
from kollama2.evaluation.kinds import ContextGain, Induction
from kollama2.evaluation.likelihood import Tools, bits, changes, scored, wrong_prompts
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, user
from kollama2.evaluation.sharing import Request, branched
from kollama2.evaluation.windows import window_request

_SYLLABLES: dict[str, Sequence[str]] = {
    # Common syllables without a final consonant or with ㄴ: every Korean tokenizer knows them.
    "hangul": (
        "가나다라마바사아자차고노도로모보소오조초구누두루무부수우주추"
        "기니디리미비시이지치간난단란만반산안잔찬"
    ),
    "latin": [a + b for a in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "t") for b in "aeiou"],
}


def induction_rows(task: Induction) -> list[Row]:
    """Items of `pairs` questions and answers; `asked` is the pair that is looked up."""
    rng = random.Random(f"induction {task.seed}")
    rows = []
    for number in range(task.size):
        words = _words(rng, 2 * task.pairs, _SYLLABLES[task.script])
        rows.append(
            {
                "id": str(number),
                "cluster": str(number),
                "questions": words[: task.pairs],
                "answers": words[task.pairs :],
                "asked": rng.randrange(task.pairs),
            }
        )
    return rows


def _words(rng: random.Random, count: int, syllables: Sequence[str]) -> list[str]:
    """Different words of two syllables."""
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choices(syllables, k=2))] = None
    return list(words)


def induction(task: Induction, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits per byte that a repetition saves, and P(gold) of a pair that was given before."""
    outcome = Outcome(task.name, items=len(rows))
    for row, scores in scored(rows, [_requests(row, tools) for row in rows], tools, outcome):
        once, twice, *choices = scores
        size = len(_list(row).encode())
        outcome.add(row, "copy_gain", (bits([once]) - bits([twice])) / size)
        sizes = np.array([len(answer.encode()) for answer in row["answers"]])
        measured = choice_measures((np.array(choices) / sizes)[None], row["asked"])
        outcome.add(row, "recall", measured["p_gold"])
    return outcome


def _requests(row: Row, tools: Tools) -> list[Request]:
    """The list for the first time, for the second time, and each answer to the question."""
    encoder, text = tools.encoder, _list(row)
    start = (encoder.first_id,)
    once = tuple(encoder.encode(text))
    twice = branched(once, [tuple(encoder.encode(f"{text}\n{text}"))])
    asked = "".join(
        f"{question}: {answer}\n"
        for question, answer in zip(row["questions"], row["answers"], strict=True)
    )
    asked += f"{row['questions'][row['asked']]}:"
    prompt = tuple(encoder.encode(asked))
    wholes = [tuple(encoder.encode(f"{asked} {answer}")) for answer in row["answers"]]
    found = [*twice, *branched(prompt, wholes)]
    return [Request(start, once), *(Request((*start, *one[0]), one[1]) for one in found)]


def context_gain(task: ContextGain, rows: Sequence[Row], tools: Tools) -> Outcome:
    """Bits per byte of each text's second half behind another's first half minus behind its own.

    Texts are cut at the space nearest their middle; those without one are left out, with a flag.
    The other half is of a text of another cluster, nearest in length.

    Raises:
        BadData: no other text can lend its half.
    """
    prompted: list[Row] = []
    for row in rows:
        before, after = _halves(row["text"])
        if before:
            prompted.append({**row, "messages": user(before), "answer": after})
    outcome = Outcome(task.name, items=len(prompted))
    if len(prompted) < len(rows):
        outcome.flags.append(f"{len(rows) - len(prompted)} texts of one word are left out")
    requests: list[list[Request]] = []
    changed: dict[str, int] = {}
    for row, lent in zip(prompted, wrong_prompts(prompted), strict=True):
        found = [
            window_request(tools.encoder, messages[0]["content"], row["answer"])
            for messages in (row["messages"], lent)
        ]
        requests.append([one.request for one in found])
        # A price for it would stand on both sides of the difference.
        changed[row["id"]] = found[0].changed
    outcome.flags += changes(prompted, changed)
    for row, (own, other) in scored(prompted, requests, tools, outcome):
        size = len(row["answer"].encode())
        outcome.add(row, "context_gain", (bits([other]) - bits([own])) / size)
    return outcome


def _halves(text: str) -> tuple[str, str]:
    """A text cut before the space nearest its middle in bytes; none before where there is none."""
    middle, best, seen = len(text.encode()) / 2, 0, 0
    distance = middle
    for place, character in enumerate(text):
        if character == " " and place and abs(seen - middle) < distance:
            best, distance = place, abs(seen - middle)
        seen += len(character.encode())
    return text[:best], text[best:]


def _list(row: Row) -> str:
    return " ".join(row["questions"] + row["answers"])
