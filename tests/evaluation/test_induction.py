from typing import Any

import pytest
import torch

from kollama2.evaluation.induction import induction, induction_rows
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.suite import Induction
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
    # A field at its default leaves the items, and the keys of evaluations, as they were.
    assert induction_rows(task(size=1, script="hangul")) == induction_rows(task(size=1))
