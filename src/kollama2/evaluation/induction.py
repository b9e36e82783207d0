"""Learning within the context: can a model repeat and look up what it has just read?

The words are random syllables, so neither knowledge nor a training text can help, and every model
sees the same bytes.
"""

import random
from collections.abc import Sequence

import numpy as np

from kollama2.evaluation.choices import choice_measures
from kollama2.evaluation.likelihood import Tools, bits, scored
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Request
from kollama2.evaluation.suite import Induction

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
    start = (encoder.bos_id,) if encoder.bos_id is not None else tuple(encoder.encode("\n"))
    once = tuple(encoder.encode(text))
    both = tuple(encoder.encode(f"{text}\n{text}"))
    # What follows the first list and its line break; a token over the border is scored.
    shared = next((at for at, (a, b) in enumerate(zip(once, both, strict=False)) if a != b), None)
    border = len(once) if shared is None else shared
    asked = "".join(
        f"{question}: {answer}\n"
        for question, answer in zip(row["questions"], row["answers"], strict=True)
    )
    asked += f"{row['questions'][row['asked']]}:"
    prompt = tuple(encoder.encode(asked))
    found = [Request(start, once), Request((*start, *both[:border]), both[border:])]
    for answer in row["answers"]:
        whole = tuple(encoder.encode(f"{asked} {answer}"))
        found.append(Request((*start, *prompt), whole[len(prompt) :]))
    return found


def _list(row: Row) -> str:
    return " ".join(row["questions"] + row["answers"])
