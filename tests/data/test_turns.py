import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kollama2.data.forms import Example, detect
from kollama2.data.lines import Reject, Row
from kollama2.data.normalise import Normaliser
from kollama2.data.read import read
from kollama2.data.turns import Unusable, text_of

WEATHER = {
    "name": "weather",
    "description": "날씨",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TOOL = {"type": "function", "function": WEATHER}
ARGUMENTS = {"city": "서울"}
CALL = {"type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
ASK = {"role": "user", "content": "서울 날씨?"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [{"id": "a", **CALL}]}
RESULT = {"role": "tool", "tool_call_id": "a", "name": "weather", "content": "맑음"}
SAYS = {"role": "assistant", "content": "맑습니다."}


def normal(value: Any) -> tuple[Example | Reject, Counter[str]]:
    counts: Counter[str] = Counter()
    found, columns = detect([value], "file")
    return Normaliser(found, "file", columns, counts).example(Row(1, value)), counts


def example(value: Any) -> Example:
    found, _ = normal(value)
    assert isinstance(found, Example), found
    return found


def reason(*turns: Any, **row: Any) -> str:
    found, counts = normal({"messages": list(turns), **row})
    assert isinstance(found, Reject), found
    assert not counts
    return found.reason


def shared(*turns: tuple[str, Any], **row: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": what} for who, what in turns], **row}


def test_openais_form():
    row = {"messages": [ASK, CALLS, RESULT, SAYS], "tools": [TOOL]}
    found = example(row)
    assert found.messages == (
        ASK,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "a", **CALL}]},
        {"role": "tool", "content": "맑음", "name": "weather", "tool_call_id": "a"},
        SAYS,
    )
    assert found.tools == (TOOL,)
    assert found.contents() == [
        "서울 날씨?",
        '{"name": "weather", "arguments": {"city": "서울"}}',
        "맑음",
        "맑습니다.",
    ]


@pytest.mark.parametrize(
    "tools",
    [
        [WEATHER],
        json.dumps([TOOL]),
        json.dumps([WEATHER], ensure_ascii=False),
        [json.dumps(TOOL)],
        TOOL,
        json.dumps(WEATHER),
    ],
)
def test_every_form_of_tools(tools: Any):
    assert example({"messages": [ASK, SAYS], "tools": tools}).tools == (TOOL,)
    assert example({"messages": [ASK, SAYS], "functions": tools}).tools == (TOOL,)
    assert example(shared(("human", "a"), ("gpt", "b"), tools=tools)).tools == (TOOL,)


@pytest.mark.parametrize("tools", [None, "", " ", [], "[]"])
def test_rows_without_tools(tools: Any):
    assert example({"messages": [ASK, SAYS], "tools": tools}).tools == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('{"city": "서울"}', ARGUMENTS),
        (ARGUMENTS, ARGUMENTS),
        ("", {}),
        (None, {}),
        ("{}", {}),
        ("서울", "서울"),
        ("[1]", "[1]"),
        ({"city": "각"}, {"city": "각"}),
    ],
)
def test_arguments_are_objects_where_they_can_be(given: Any, kept: Any):
    call = {"function": {"name": "weather", "arguments": given}}
    found = example({"messages": [ASK, {"role": "assistant", "tool_calls": [call]}]})
    assert found.messages[1]["tool_calls"] == [
        {"type": "function", "function": {"name": "weather", "arguments": kept}}
    ]


def test_sharegpts_form():
    call = json.dumps({"name": "weather", "arguments": ARGUMENTS})
    row = shared(
        ("human", "서울 날씨?"),
        ("gpt", "잠시만요."),
        ("function_call", call),
        ("observation", '{"sky": "맑음"}'),
        ("gpt", "맑습니다."),
        tools=json.dumps([WEATHER]),
    )
    found, counts = normal(row)
    assert isinstance(found, Example)
    assert found.messages == (
        ASK,
        {"role": "assistant", "content": "잠시만요.", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"sky": "맑음"}'},
        SAYS,
    )
    assert found.tools == (TOOL,)
    assert counts == {"turns of one speaker joined": 1}
    several = json.dumps([json.loads(call)] * 2)
    row = shared(("human", "a"), ("function_call", several), ("observation", "1"), ("tool", "2"))
    assert [m["role"] for m in example(row).messages] == ["user", "assistant"]
    row["conversations"].append({"from": "gpt", "value": "b"})
    _, calls, *results, _ = example(row).messages
    assert calls["tool_calls"] == [CALL, CALL]
    assert [m["content"] for m in results] == ["1", "2"]


def test_older_and_other_spellings():
    legacy = {"role": "assistant", "content": None, "function_call": CALL["function"]}
    answered = {"role": "function", "name": "weather", "content": {"sky": "맑음"}}
    found = example({"messages": [ASK, legacy, answered, SAYS]})
    assert found.messages[1]["tool_calls"] == [CALL]
    assert found.messages[2] == {"role": "tool", "content": '{"sky": "맑음"}', "name": "weather"}
    developer = {"role": "developer", "content": "짧게"}
    assert example({"messages": [developer, ASK, SAYS]}).messages[0] == {
        "role": "system",
        "content": "짧게",
    }


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts(name: str):
    found = example({"messages": [ASK, {**SAYS, name: " 생각 "}]})
    assert found.messages[1] == {**SAYS, "reasoning": "생각"}
    assert found.contents() == ["서울 날씨?", "생각", "맑습니다."]
    inside = "<think>\n생각\n</think>\n\n맑습니다."
    assert example({"messages": [ASK, {**SAYS, "content": inside}]}).contents()[1] == inside
    assert "reasoning" not in example({"messages": [ASK, {**SAYS, name: None}]}).messages[1]


def test_a_chat_may_end_with_a_call():
    found, counts = normal({"messages": [ASK, CALLS, RESULT]})
    assert isinstance(found, Example)
    assert found.messages[-1]["tool_calls"] == [{"id": "a", **CALL}]
    assert counts == {"last turn without an answer dropped": 1}


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([ASK, RESULT, SAYS], "a result of a tool that was not called"),
        ([ASK, SAYS, RESULT, SAYS], "a result of a tool that was not called"),
        ([CALLS, RESULT, SAYS, ASK, SAYS], "a result of a tool that was not called"),
        ([ASK, CALLS, ASK, SAYS], "a call of a tool without a result"),
        ([ASK, CALLS, SAYS], "a call of a tool without a result"),
        ([ASK, CALLS, RESULT, ASK, SAYS], "a result of a tool without an answer"),
        ([{**ASK, "tool_calls": CALLS["tool_calls"]}, SAYS], "a user turn that calls a tool"),
        ([{**ASK, "reasoning": "x"}, SAYS], "a user turn that thinks"),
        ([ASK, {**SAYS, "reasoning": {"a": 1}}], 'the "reasoning" is an object, not text'),
        (
            [ASK, {**SAYS, "tool_calls": [{"id": "a"}]}],
            "a call of a tool has no name of a function",
        ),
        ([ASK, {**SAYS, "tool_calls": [7]}], "a call of a tool has no name of a function"),
        ([ASK, {"role": "function_call", "content": ""}], "an empty assistant turn"),
        ([ASK, {**SAYS, "content": None, "tool_calls": []}], "an empty assistant turn"),
    ],
)
def test_tool_turns_that_cannot_be_meant(turns: list[Any], fault: str):
    assert reason(*turns) == fault


def test_what_is_no_json_or_no_text():
    call = {"role": "function_call", "content": "weather(서울)"}
    assert reason(ASK, call) == "a call of a tool is not JSON"
    assert reason(ASK, SAYS, tools="[{") == "the tools are not JSON"
    assert reason(ASK, SAYS, tools=[{"type": "web"}]) == "a tool has no name of a function"
    assert reason(ASK, SAYS, tools=["{"]) == "a tool is not JSON"
    odd = {"name": "f", "parameters": {"at": b"x"}}
    assert reason(ASK, SAYS, tools=[odd]) == "a tool or a call of one holds bytes"
    call = {"function": {"name": "f", "arguments": '{"a": "\\ud800"}'}}
    assert reason(ASK, {**SAYS, "tool_calls": [call]}).startswith("not UTF-8")


def test_duplicates_are_told_by_their_tools_too():
    plain = example({"messages": [ASK, SAYS]})
    told = example({"messages": [ASK, SAYS], "tools": [TOOL]})
    again = example({"messages": [ASK, SAYS], "tools": json.dumps([WEATHER])})
    assert plain.digest() != told.digest() == again.digest()


def test_parquet_fills_no_fields_in(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    one = {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}
    two = {"name": "g", "parameters": {"properties": {"b": {"type": "number"}}}}
    call = {"function": {"name": "g", "arguments": {"b": 1}}}
    rows = [
        {"messages": [ASK, {**SAYS, "tool_calls": None}], "tools": [one]},
        {"messages": [ASK, {"role": "assistant", "tool_calls": [call]}], "tools": [two]},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    first, second = read(tmp_path / "a.parquet")
    assert isinstance(first, Example)
    assert isinstance(second, Example)
    assert first.tools == ({"type": "function", "function": one},)
    assert second.tools == ({"type": "function", "function": two},)
    assert second.messages[1]["tool_calls"][0]["function"]["arguments"] == {"b": 1}


def test_rows_in_are_rows_kept_and_rejected(tmp_path: Path):
    rows = [
        {"messages": [ASK, CALLS, RESULT, SAYS], "tools": [TOOL]},
        {"messages": [ASK, RESULT, SAYS], "tools": [TOOL]},
        {"messages": [ASK, SAYS], "tools": "["},
        {"messages": [ASK, SAYS]},
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    reading = read(tmp_path / "a.jsonl")
    assert [isinstance(one, Example) for one in reading] == [True, False, False, True]
    assert reading.counts == {"in": 4, "kept": 2, "rejected": 2}


PAIRS = [["수도는?", "서울"], ["강은?", "한강"]]
EARLIER = [
    {"role": "user", "content": "수도는?"},
    {"role": "assistant", "content": "서울"},
    {"role": "user", "content": "강은?"},
    {"role": "assistant", "content": "한강"},
]
NOW = [{"role": "user", "content": "인구는?"}, {"role": "assistant", "content": "940만"}]


@pytest.mark.parametrize("history", [PAIRS, json.dumps(PAIRS), EARLIER])
@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "인구는?", "output": "940만"},
        {"id": 1, "instruction": "인구는?", "input": "", "output": "940만"},
        {"prompt": "인구는?", "completion": "940만"},
    ],
)
def test_a_history_stands_before_the_instruction(row: Any, history: Any):
    told = {**row, "system": "짧게", "history": history}
    assert list(example(told).messages) == [
        {"role": "system", "content": "짧게"},
        *EARLIER,
        *NOW,
    ]


@pytest.mark.parametrize("history", [[], "", None, "[]"])
def test_no_history(history: Any):
    row = {"instruction": "인구는?", "output": "940만", "history": history}
    assert list(example(row).messages) == NOW


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ("수도는?", 'the "history" is not a list of [question, answer] pairs'),
        ([["수도는?"]], 'the "history" is not a list of [question, answer] pairs'),
        ([["수도는?", ""]], "an empty assistant turn"),
        (EARLIER[:1], 'the "history" does not end with an answer'),
    ],
)
def test_a_history_that_cannot_be_meant(history: Any, fault: str):
    found, _ = normal({"instruction": "a", "output": "b", "history": history})
    assert isinstance(found, Reject)
    assert found.reason == fault


@pytest.mark.parametrize("silent", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"train": 0}])
def test_answers_that_are_not_learned(silent: Any):
    wrong = {"role": "assistant", "content": "6"}
    found = example({"messages": [ASK, {**wrong, **silent}, ASK, {**SAYS, "weight": 1}]})
    assert found.messages == (ASK, {**wrong, "weight": 0}, ASK, SAYS)
    told = {"from": "gpt", "value": "6", **silent}
    row = shared(("human", "a"), ("gpt", "b"))
    row["conversations"][1:1] = [told, {"from": "human", "value": "다시"}]
    assert [m.get("weight") for m in example(row).messages] == [None, 0, None, None]
    assert reason(ASK, {**SAYS, **silent}) == (
        "every answer has the weight 0, so that nothing is learned"
    )
    assert reason(ASK, SAYS, {**SAYS, **silent}) == (
        "two turns of the assistant in a row, of which one has the weight 0"
    )
    both = example({"messages": [ASK, {**SAYS, **silent}, {**SAYS, **silent}, ASK, SAYS]})
    assert both.messages[1] == {
        "role": "assistant",
        "content": "맑습니다.\n\n맑습니다.",
        "weight": 0,
    }


def test_a_weight_that_cannot_be_meant():
    assert reason(ASK, {**SAYS, "weight": 0.5}) == (
        "a turn of the weight 0.5, which is neither 0 nor 1"
    )


def test_marks_of_other_tools_say_that_an_answer_is_not_learned():
    first, last = {**SAYS, "content": "6"}, {**SAYS, "weight": math.nan}
    for mark in ({"training": False}, {"loss": False}, {"loss": 0.0}, {"train": 1, "weight": 0}):
        found = example({"messages": [ASK, {**first, **mark}, ASK, last]})
        assert [m.get("weight") for m in found.messages] == [None, 0, None, None]
    assert (
        reason(ASK, {**SAYS, "loss": "no"}) == 'a turn of the loss "no", which is neither 0 nor 1'
    )


def test_what_a_turn_says_in_vain_is_counted():
    counts = Counter[str]()
    row = {"messages": [{**ASK, "name": "kim", "id": None}, {**SAYS, "mask": True}]}
    Normaliser("messages", "f", None, counts).example(Row(1, row))
    assert counts == {'"mask" of turns not used': 1}


def test_a_turn_with_the_keys_of_both_forms():
    empty = {"from": None, "value": None}
    found = example({"messages": [{**ASK, **empty}, {**SAYS, **empty}]})
    assert found.messages == (ASK, SAYS)
    assert example({"messages": [{**ASK, "from": "Human"}, SAYS]}).messages == (ASK, SAYS)
    assert reason({**ASK, "from": "gpt"}, SAYS) == 'a turn whose "from" and "role" differ'
    assert reason({**ASK, "value": "x"}, SAYS) == 'a turn whose "value" and "content" differ'


def test_turns_that_are_json_text(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    assert example({"messages": json.dumps([ASK, SAYS])}).messages == (ASK, SAYS)
    row = shared(("human", "a"), ("gpt", "b"))
    row["conversations"] = json.dumps(row["conversations"])
    assert [m["content"] for m in example(row).messages] == ["a", "b"]
    assert reason_of_text("[{") == reason_of_text("안녕") == '"messages" is not a list of turns'
    table = pyarrow.table({"messages": [json.dumps([ASK, SAYS])]})
    parquet.write_table(table, tmp_path / "a.parquet")
    (found,) = read(tmp_path / "a.parquet")
    assert isinstance(found, Example)
    assert found.messages == (ASK, SAYS)


def reason_of_text(messages: str) -> str:
    found, _ = normal({"messages": messages})
    assert isinstance(found, Reject)
    return found.reason


def test_numbers_that_are_none_are_empty_or_refused():
    changes: Counter[str] = Counter()
    assert text_of(float("nan"), "output", changes) == ""
    assert text_of(3, "output", changes) == "3"
    for value in (float("inf"), float("-inf")):
        with pytest.raises(Unusable, match=f'the "output" is no number: {value}'):
            text_of(value, "output", changes)
