import math
from typing import Any

import numpy as np
import pytest
import torch

from kollama2.evaluation.choices import choice_measures, multiple_choice
from kollama2.evaluation.kinds import MultipleChoice
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.outcome import chance
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Scorer
from tests.evaluation.models import ByteEncoder, constant, llama, naive_score, uniform


def task(**fields: Any) -> MultipleChoice:
    return MultipleChoice(name="t", measure_kind="multiple_choice", data="", **fields)


def rows(count: int = 4, choices: tuple[str, ...] = ("서울", "부산시", "ab")) -> list[Row]:
    return [
        {
            "id": str(number),
            "cluster": str(number),
            "question": f"질문 {number}?",
            "choices": list(choices),
            "gold": number % len(choices),
            "known_in": "en",
        }
        for number in range(count)
    ]


def test_measures_by_hand() -> None:
    # Softmax of log 1, log 2, log 1 is 1/4, 1/2, 1/4.
    table = np.log([[1.0, 2.0, 1.0]])
    assert choice_measures(table, 1) == pytest.approx(
        {"p_gold": 0.5, "accuracy": 1, "margin": 1, "brier": 0.0625 * 2 + 0.25}
    )
    assert choice_measures(table, 0) == pytest.approx(
        {"p_gold": 0.25, "accuracy": 0, "margin": -1, "brier": 0.5625 + 0.25 + 0.0625}
    )


def test_ties_count_in_part_and_prompts_are_averaged() -> None:
    table = np.log([[1.0, 1.0, 0.5], [0.1, 0.8, 0.1]])
    found = choice_measures(table, 0)
    assert found["accuracy"] == pytest.approx((0.5 + 0) / 2)
    assert found["p_gold"] == pytest.approx((0.4 + 0.1) / 2)


def test_the_rule_is_log_likelihood_per_byte() -> None:
    model, encoder = llama(), ByteEncoder()
    outcome = multiple_choice(task(), rows(1), Tools(Scorer(model), encoder))
    context = encoder.prompt([{"role": "user", "content": "질문 0?"}])
    per_byte = [
        naive_score(model, context, encoder.encode(choice)) / len(choice.encode())
        for choice in rows()[0]["choices"]
    ]
    expected = math.exp(per_byte[0]) / sum(map(math.exp, per_byte))
    assert outcome.records[0]["value"] == pytest.approx(expected, abs=1e-5)
    assert outcome.records[0]["known_in"] == "en"
    best = int(np.argmax(per_byte))
    assert outcome.samples == [
        {
            "task": "t",
            "item": "0",
            "prompt": "질문 0?",
            "answer": rows()[0]["choices"][best],
            "reference": "서울",
            "choices": ["서울", "부산시", "ab"],
            "chosen": best,
            "gold": 0,
            "known_in": "en",
        }
    ]


def test_a_uniform_model_is_at_chance() -> None:
    outcome = multiple_choice(task(), rows(6), Tools(Scorer(uniform()), ByteEncoder()))
    found = {one["measure"]: one["value"] for one in outcome.records}
    assert found["p_gold"] == pytest.approx(1 / 3)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert outcome.flags == ["degenerate: 100% of answers are '서울'"]  # ties go to the first
    expected = {"t/p_gold": 1 / 3, "t/accuracy": 1 / 3, "t/acc": 1 / 3}
    assert chance([outcome]) == pytest.approx(expected)


def test_a_constant_label_is_flagged() -> None:
    p = torch.full((260,), 0.001)
    p[ord("Y") + 3] = 1 - 0.001 * 259
    tools = Tools(Scorer(constant(p)), ByteEncoder())
    outcome = multiple_choice(task(), rows(24, ("Y", "N")), tools)
    assert outcome.flags == ["degenerate: 100% of answers are 'Y'"]
    # Five guesses are all alike more than once in 20 times, six less often.
    small = {size: multiple_choice(task(), rows(size, ("Y", "N")), tools).flags for size in (5, 6)}
    assert small == {5: [], 6: ["degenerate: 100% of answers are 'Y'"]}
    # A truth that has it so, or nearly: .9 ** 10 is .35.
    nearly = [row | {"gold": int(row["id"] == "3")} for row in rows(10, ("Y", "N"))]
    assert multiple_choice(task(), nearly, tools).flags == []
    same = [row | {"gold": 0} for row in rows(24, ("Y", "N"))]
    assert multiple_choice(task(), same, tools).flags == []


def test_a_constant_position_is_flagged() -> None:
    p = torch.full((260,), 0.001)
    p[ord("Y") + 3] = 1 - 0.001 * 259
    several = [
        row | {"choices": ["no", "YY" + "Y" * (number % 2), "na"], "gold": number % 3}
        for number, row in enumerate(rows(24))
    ]
    tools = Tools(Scorer(constant(p)), ByteEncoder())
    assert multiple_choice(task(), several, tools).flags == [
        "degenerate: 100% of answers are choice 2"
    ]
