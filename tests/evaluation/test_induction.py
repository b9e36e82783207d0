from typing import Any

import pytest
import torch

from kollama2.errors import BadData
from kollama2.evaluation.induction import context_gain, induction, induction_rows
from kollama2.evaluation.kinds import ContextGain, Induction
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Scorer
from tests.evaluation.models import ByteEncoder, constant, llama, naive_score, uniform


def task(**fields: Any) -> Induction:
    return Induction(name="in-context", measure_kind="induction", **fields)


def test_a_model_that_ignores_its_context_gains_nothing() -> None:
    rows = induction_rows(task(size=3))
    for model in (uniform(), constant(torch.linspace(1, 2, 260) / torch.linspace(1, 2, 260).sum())):
        outcome = induction(task(size=3), rows, Tools(Scorer(model), ByteEncoder()))
        by_measure: dict[str, list[float]] = {}
        for record in outcome.records:
            by_measure.setdefault(record["measure"], []).append(record["value"])
        # The line break between the lists is scored with the second one: below 8 bits in 30 bytes.
        assert max(map(abs, by_measure["copy_gain"])) < 0.2
        assert sum(by_measure["recall"]) / 3 == pytest.approx(1 / 6, abs=0.02)


def test_scores_are_those_of_the_text_before_and_after() -> None:
    model, encoder = llama(max_length=1024), ByteEncoder()
    rows = induction_rows(task(size=1, pairs=2))
    outcome = induction(task(size=1, pairs=2), rows, Tools(Scorer(model), encoder))
    text = " ".join(rows[0]["questions"] + rows[0]["answers"])
    once = naive_score(model, [1], encoder.encode(text))
    twice = naive_score(model, [1, *encoder.encode(text)], encoder.encode(f"\n{text}"))
    gain = (twice - once) / len(text.encode()) / 0.6931471805599453
    assert outcome.records[0]["value"] == pytest.approx(gain, abs=1e-4)


def test_items_are_the_same_everywhere_and_differ_by_seed() -> None:
    assert induction_rows(task(size=2)) == induction_rows(task(size=2))
    assert induction_rows(task(size=2)) != induction_rows(task(size=2, seed=1))
    words = [word for row in induction_rows(task()) for word in row["questions"] + row["answers"]]
    assert {len(word) for word in words} == {2}


def test_words_in_latin_letters() -> None:
    (row,) = induction_rows(task(size=1, script="latin"))
    words = row["questions"] + row["answers"]
    assert len(set(words)) == 12
    assert all(len(word) == 4 and word.isascii() and word.islower() for word in words)
    # A field at its default leaves the items as they were.
    assert induction_rows(task(size=1, script="hangul")) == induction_rows(task(size=1))


TEXTS = ["가 나다 라마", "one two three four", "짧은 글", "하나뿐", "one two six seven"]


def gains(model: torch.nn.Module, cluster: bool = False) -> Outcome:
    rows: list[Row] = [
        {"id": str(at), "cluster": "same" if cluster else str(at), "text": text}
        for at, text in enumerate(TEXTS)
    ]
    running = ContextGain(name="context", measure_kind="context_gain", data="")
    return context_gain(running, rows, Tools(Scorer(model), ByteEncoder()))


def test_the_first_half_of_a_text_against_another_text_s() -> None:
    model, encoder = llama(), ByteEncoder()
    outcome = gains(model)
    assert outcome.items == 4
    assert outcome.flags == ["1 texts of one word are left out"]
    # Cut before the space nearest the middle; the other half is the next in length, or the one
    # before at the end.
    halves = [("가 나다", " 라마", "one two"), ("one two", " three four", "one two"),
              ("짧은", " 글", "one two"), ("one two", " six seven", "가 나다")]  # fmt: skip
    for record, (own, rest, other) in zip(outcome.records, halves, strict=True):
        scores = [
            naive_score(model, [1, *encoder.encode(one)], encoder.encode(rest))
            for one in (own, other)
        ]
        gain = (scores[0] - scores[1]) / 0.6931471805599453 / len(rest.encode())
        assert record["value"] == pytest.approx(gain, abs=1e-4)
        assert record["measure"] == "context_gain"


def test_a_model_that_ignores_its_context_has_none_of_it() -> None:
    for model in (uniform(), constant(torch.linspace(1, 2, 260) / torch.linspace(1, 2, 260).sum())):
        assert max(abs(one["value"]) for one in gains(model).records) < 1e-5


def test_another_half_must_be_of_another_cluster() -> None:
    with pytest.raises(BadData, match="no other item"):
        gains(uniform(), cluster=True)
