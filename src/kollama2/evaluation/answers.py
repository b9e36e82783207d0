"""Free answers, whoever gives them: what a task asks, and the measures of what was said."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from kollama2.evaluation.faults import stock_phrases
from kollama2.evaluation.fidelity import measure_answer
from kollama2.evaluation.kinds import Generation, Translation
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row, user

# A fault is worth a flag where it is in more than this share of the answers.
FLAGGED = 0.05
# What the flag of a fault says; empty and broken answers are among the failures anyway.
_SAID = {
    "foreign": "are not in Korean",
    "stock": "say what many others say",
    "echo": "repeat the question",
    "leak": "hold marks of a chat template",
    "loop": "repeat themselves",
    "gibberish": "are gibberish",
}


class Question(NamedTuple):
    """One chat that a task wants answered.

    `item` names it within the task; `shown` is what of it a reader sees, `reference` the answer
    that its author gave; `source` and `target` are the languages of a translation.
    """

    row: Row
    item: str
    messages: list[dict[str, str]]
    shown: str
    reference: str | None
    source: str = ""
    target: str = ""


class Answer(NamedTuple):
    """One answer and whether it ended by itself.

    `tokens` is None where nobody counted them, `refused` is True where a filter kept the model from
    answering; `whole` is the answer with what the model thought before it.
    """

    text: str
    stopped: bool
    tokens: int | None
    refused: bool = False
    whole: str = ""

    @property
    def thoughts(self) -> dict[str, str]:
        """The whole answer for a sample, where it is more than its text."""
        more = self.whole.strip() not in ("", self.text.strip())
        return {"whole": self.whole} if more else {}

    @property
    def failed(self) -> bool:
        """Whether it is empty or refused, or holds bytes that form no character."""
        return not self.text.strip() or self.refused or "\ufffd" in self.text


def questions(task: Generation | Translation, rows: Sequence[Row]) -> list[Question]:
    """What the task asks about its rows, a translation in both directions, one after the other."""
    if isinstance(task, Generation):
        return [
            Question(
                row, row["id"], row["messages"], row["messages"][-1]["content"],
                row.get("reference"),
            )
            for row in rows
        ]  # fmt: skip
    return [
        Question(
            row, f"{row['id']} {source}-{target}", user(prompt.replace("{source}", row[source])),
            row[source], row[target], source, target,
        )
        for source, target, prompt in (("en", "ko", task.to_korean), ("ko", "en", task.to_english))
        for row in rows
    ]  # fmt: skip


def judged(
    task: Generation | Translation,
    rows: Sequence[Row],
    asked: Sequence[Question],
    said: Sequence[Answer | None],
    marks: Collection[str] = (),
) -> Outcome:
    """The measures of all answers; those that are None did not fit the model and are left out.

    Answers that are empty, refused or hold bytes that form no character count as failures.

    Args:
        task: what was asked.
        rows: its rows.
        asked: its questions, see `questions`.
        said: the answers, one for each question.
        marks: those of the model's own chat template, which no answer should hold.
    """
    outcome = Outcome(task.name, items=len(rows))
    pairs = list(zip(asked, said, strict=True))
    given = [(question, answer) for question, answer in pairs if answer is not None]
    outcome.truncated = len({one.row["id"] for one, answer in pairs if answer is None})
    if isinstance(task, Generation):
        found = _fidelity(outcome, given, marks)
    else:
        found = [[] for _ in given]
        given = [(one, answer._replace(text=answer.text.strip())) for one, answer in given]
        _chrf(outcome, given)
    for (question, answer), faults in zip(given, found, strict=True):
        sample: dict[str, Any] = {
            "task": task.name,
            "item": question.item,
            "prompt": question.shown,
            "answer": answer.text,
        }
        if question.reference:
            sample["reference"] = question.reference
        sample |= answer.thoughts
        if faults:
            sample["faults"] = faults
        counted = {"tokens": answer.tokens, "stopped": answer.stopped}
        outcome.samples.append({**sample, **counted})
    return outcome


def _fidelity(
    outcome: Outcome, given: Sequence[tuple[Question, Answer]], marks: Collection[str]
) -> list[list[str]]:
    """Measure answers in Korean; returns the names of the faults of each."""
    stock = stock_phrases([answer.text for _, answer in given])
    found = []
    for (question, answer), common in zip(given, stock, strict=True):
        measured = measure_answer(
            answer.text,
            stopped=answer.stopped,
            question=question.shown,
            reference=question.reference,
            marks=marks,
            stock=common,
        )
        found.append(measured.faults())
        for name, value in measured._asdict().items():
            outcome.add(question.row, name, value)
        outcome.empty += int(measured.empty)
        outcome.failed += int(measured.empty or measured.invalid_utf8 or answer.refused)
    outcome.faults = dict(Counter(name for faults in found for name in faults))
    for name, words in _SAID.items():
        count = outcome.faults.get(name, 0)
        if count > FLAGGED * len(given):
            outcome.flags.append(f"{name}: {count} of {len(given)} answers {words}")
    return found


def _chrf(outcome: Outcome, given: Sequence[tuple[Question, Answer]]) -> None:
    """chrF++ (0 to 100) of each translation, and of the whole with sacrebleu's signature.

    An empty translation scores 0. The records hold sentence-level chrF++; corpus-level chrF++,
    which papers quote, is in `corpus`.
    """
    from sacrebleu.metrics.chrf import CHRF  # half a second

    pairs: dict[str, list[tuple[str, str]]] = {}
    for question, answer in given:
        measure = f"chrf_{question.source}_{question.target}"
        assert question.reference is not None, "a translation has both its sides"
        pairs.setdefault(measure, []).append((answer.text, question.reference))
        score = CHRF(word_order=2).sentence_score(answer.text, [question.reference]).score
        outcome.add(question.row, measure, score)
        outcome.empty += not answer.text
        outcome.failed += answer.failed
    for measure, both in pairs.items():
        hypotheses, references = zip(*both, strict=True)
        chrf = CHRF(word_order=2)
        whole = chrf.corpus_score(list(hypotheses), [list(references)])
        outcome.corpus[measure] = {"score": whole.score, "signature": str(chrf.get_signature())}
