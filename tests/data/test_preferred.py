"""Rows with a better and a worse answer: all that stands before both is the prompt."""

import json
from collections import Counter
from typing import Any

import pytest

from kollama2.data.forms import Example, detect
from kollama2.data.lines import Reject, Row
from kollama2.data.normalise import Normaliser

SYSTEM = {"role": "system", "content": "짧게"}
FIRST = {"role": "user", "content": "수도는?"}
SEOUL = {"role": "assistant", "content": "서울입니다."}
SECOND = {"role": "user", "content": "그 강은?"}
HAN = {"role": "assistant", "content": "한강입니다."}
RIVER = {"role": "assistant", "content": "Han river."}
BEFORE = [FIRST, SEOUL, SECOND]
CHOSEN = "한강입니다."
REJECTED = "Han river."


def shared(*turns: dict[str, str]) -> list[dict[str, str]]:
    names = {"user": "human", "assistant": "gpt"}
    return [{"from": names[one["role"]], "value": one["content"]} for one in turns]


def anthropic(*turns: dict[str, str], opened: str = "") -> str:
    names = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{names[t['role']]}: {t['content']}" for t in turns) + opened


def normal(row: Any) -> Example | Reject:
    form, columns = detect([row], "file")
    assert form == "preference"
    return Normaliser(form, "file", columns, Counter()).example(Row(1, row))


FORMS = {
    "trl, implicit prompt": {"chosen": [*BEFORE, HAN], "rejected": [*BEFORE, RIVER]},
    "trl, explicit prompt": {"prompt": BEFORE, "chosen": [HAN], "rejected": [RIVER]},
    "trl, as JSON text": {
        "prompt": json.dumps(BEFORE),
        "chosen": json.dumps([HAN], ensure_ascii=False),
        "rejected": json.dumps([RIVER]),
    },
    "its first question beside it": {
        "prompt": FIRST["content"],
        "chosen": [*BEFORE, HAN],
        "rejected": [*BEFORE, RIVER],
    },
    "its last question beside it": {
        "prompt": SECOND["content"],
        "chosen": [*BEFORE, HAN],
        "rejected": [*BEFORE, RIVER],
    },
    "the chosen chat beside it": {
        "messages": [*BEFORE, HAN],
        "chosen": [*BEFORE, HAN],
        "rejected": [*BEFORE, RIVER],
    },
    "a chat and an answer": {"chosen": [*BEFORE, HAN], "rejected": REJECTED},
    "llama-factory, sharegpt": {
        "conversations": shared(*BEFORE),
        "chosen": shared(HAN)[0],
        "rejected": shared(RIVER)[0],
    },
    "llama-factory, alpaca": {
        "instruction": SECOND["content"],
        "input": "",
        "chosen": CHOSEN,
        "rejected": REJECTED,
        "history": [[FIRST["content"], SEOUL["content"]]],
    },
    "anthropic": {"chosen": anthropic(*BEFORE, HAN), "rejected": anthropic(*BEFORE, RIVER)},
    "anthropic, explicit prompt": {
        "prompt": anthropic(*BEFORE, opened="\n\nAssistant:"),
        "chosen": " " + CHOSEN,
        "rejected": " " + REJECTED,
    },
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("system", [False, True])
def test_the_prompt_is_all_that_stands_before_both(name: str, *, system: bool):
    row: dict[str, Any] = {**FORMS[name], **({"system": "짧게"} if system else {})}
    found = normal(row)
    assert isinstance(found, Example), found
    assert list(found.messages) == [*([SYSTEM] if system else []), *BEFORE, HAN]
    assert found.rejected == RIVER


def test_a_system_turn_belongs_to_the_prompt():
    led = [SYSTEM, *BEFORE]
    for row in (
        {"prompt": led, "chosen": [HAN], "rejected": [RIVER]},
        {"chosen": [*led, HAN], "rejected": [*led, RIVER]},
        {"prompt": FIRST["content"], "chosen": [*led, HAN], "rejected": [*led, RIVER]},
        {"prompt": led, "chosen": [*BEFORE, HAN], "rejected": [*BEFORE, RIVER]},
    ):
        found = normal(row)
        assert isinstance(found, Example), found
        assert list(found.messages) == [*led, HAN]


def test_orcas_form():
    found = normal(
        {"system": "짧게", "question": "그 강은?", "chosen": CHOSEN, "rejected": REJECTED}
    )
    assert isinstance(found, Example)
    assert list(found.messages) == [SYSTEM, SECOND, HAN]


def test_an_answer_may_be_json():
    found = normal({"prompt": "JSON으로", "chosen": '{"a": 1}', "rejected": "[1, 2]"})
    assert isinstance(found, Example)
    assert found.messages[-1]["content"] == '{"a": 1}'
    assert found.rejected == {"role": "assistant", "content": "[1, 2]"}


def test_what_is_asked_about():
    row = {"instruction": "더하세요.", "input": "1+1", "chosen": "2", "rejected": "3"}
    found = normal(row)
    assert isinstance(found, Example)
    assert found.messages[0] == {"role": "user", "content": "더하세요.", "input": "1+1"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": " b"}, "answer are the same"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, 'the "rejected" is empty'),
        ({"prompt": "a", "chosen": [FIRST], "rejected": "b"}, 'the "chosen" does not end with an'),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "no question that the two answers answer"),
        ({"chosen": [HAN], "rejected": [RIVER]}, "no question that the two answers answer"),
        (
            {"chosen": [*BEFORE, HAN], "rejected": [FIRST, RIVER]},
            "the two answers stand behind different turns",
        ),
        (
            {"prompt": "산은?", "chosen": [*BEFORE, HAN], "rejected": [*BEFORE, RIVER]},
            "the answers stand behind other turns than the prompt",
        ),
        ({"prompt": [FIRST, SEOUL], "chosen": [HAN], "rejected": [RIVER]}, "no question that"),
        ({"prompt": "a", "chosen": [3], "rejected": "b"}, "a turn is not an object"),
    ],
)
def test_rows_without_two_answers_to_one_prompt(row: dict[str, Any], reason: str):
    found = normal(row)
    assert isinstance(found, Reject)
    assert reason in found.reason
