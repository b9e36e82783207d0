from collections import Counter
from typing import Any

import pytest

from kollama2.data.forms import Example, detect, match
from kollama2.data.lines import Reject, Row
from kollama2.data.normalise import Normaliser
from kollama2.errors import BadData


def normal(value: Any, form: str | None = None) -> tuple[Example | Reject, Counter[str]]:
    counts: Counter[str] = Counter()
    found, columns = detect([value], "file")
    return Normaliser(form or found, "file", columns, counts).example(Row(1, value)), counts


def chat(value: Any) -> list[tuple[str, str]]:
    example, _ = normal(value)
    assert isinstance(example, Example), example
    return [(m["role"], m["content"]) for m in example.messages]


def turns(*said: tuple[str, str]) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": what} for who, what in said]}


ASKED = [("user", "질문"), ("assistant", "대답")]


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"instruction": "질문", "input": "", "output": "대답"}, "alpaca"),
        ({"id": "alpaca_1", "instruction": "질문", "input": "", "output": "대답"}, "kullm"),
        ({"instruction": "질문", "output": "대답", "url": "x"}, "alpaca"),
        ({"instruction": "질문", "context": "", "response": "대답", "category": "x"}, "alpaca"),
        ({"prompt": "질문", "completion": "대답"}, "prompt"),
        ({"prompt": "질문", "chosen": "대답", "rejected": "x"}, "preference"),
        ({"Q": "질문", "A": "대답", "label": "0"}, "qa"),
        ({"질문": "질문", "답변": "대답"}, "qa"),
        (turns(("human", "질문"), ("gpt", "대답")), "sharegpt"),
        ({"messages": [{"role": r, "content": c} for r, c in ASKED]}, "messages"),
    ],
)
def test_every_form_of_one_question(row: dict[str, Any], form: str):
    assert detect([row], "file") == (form, None)
    assert chat(row) == ASKED


@pytest.mark.parametrize("user", ["human", "user", "Human", "prompt", "prompter", "instructor"])
@pytest.mark.parametrize("model", ["gpt", "assistant", "chatgpt", "bing", "bard", " GPT "])
def test_every_spelling_of_a_role(user: str, model: str):
    assert chat(turns((user, "질문"), (model, "대답"))) == ASKED


def test_input_is_kept_apart_for_templates_that_have_a_place_for_it():
    example, _ = normal({"instruction": "요약", "input": " 글 ", "output": "짧게"})
    assert isinstance(example, Example)
    assert example.messages[0] == {"role": "user", "content": "요약", "input": "글"}
    assert example.contents() == ["요약", "글", "짧게"]


@pytest.mark.parametrize(
    ("said", "kept", "change"),
    [
        (
            [("gpt", "안녕하세요"), ("human", "질문"), ("gpt", "대답")],
            ASKED,
            "first turn by the model dropped",
        ),
        (
            [("human", "질문"), ("gpt", "대답"), ("human", "또")],
            ASKED,
            "last turn without an answer dropped",
        ),
        (
            [("human", "질"), ("human", "문"), ("gpt", "대답")],
            [("user", "질\n\n문"), ("assistant", "대답")],
            "turns of one speaker joined",
        ),
        (
            [("system", "규칙"), ("gpt", "네"), ("human", "질문"), ("gpt", "대답")],
            [("system", "규칙"), *ASKED],
            "first turn by the model dropped",
        ),
    ],
)
def test_turns_are_mended_with_a_count(
    said: list[tuple[str, str]], kept: list[tuple[str, str]], change: str
):
    example, counts = normal(turns(*said))
    assert isinstance(example, Example)
    assert [(m["role"], m["content"]) for m in example.messages] == kept
    assert counts == {change: 1}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("human", "a"), ("narrator", "b")], 'a turn of the unknown role "narrator"'),
        ([("human", "a"), ("gpt", " ")], "an empty assistant turn"),
        ([("human", "a"), ("system", "b"), ("gpt", "c")], "a system turn in the middle"),
        ([("gpt", "a")], "no user turn with an answer"),
        ([("system", "a"), ("human", "b")], "no user turn with an answer"),
        ([], "no user turn with an answer"),
    ],
)
def test_chats_that_cannot_be_mended(said: list[tuple[str, str]], reason: str):
    found, counts = normal(turns(*said))
    assert isinstance(found, Reject)
    assert found.reason == reason
    assert not counts


def test_openai_parts_and_tool_calls():
    said = [{"role": "user", "content": [{"type": "text", "text": "질문"}]}]
    answered = [*said, {"role": "assistant", "content": "대답"}]
    assert chat({"messages": answered}) == ASKED
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]
    assert "other than text" in str(normal({"messages": picture})[0])
    called = [*said, {"role": "assistant", "content": None, "tool_calls": []}]
    assert "an empty assistant turn" in str(normal({"messages": called})[0])


def test_preference_rows_give_the_chosen_answer():
    row = turns(("human", "질문")) | {"chosen": {"from": "gpt", "value": "대답"}}
    example, counts = normal(row)
    assert isinstance(example, Example)
    assert [m["content"] for m in example.messages] == ["질문", "대답"]
    assert counts == {"preferred answer taken": 1}


def test_text_forms():
    example, _ = normal({"title": "제목", "content": "본문", "category": "x"})
    assert example == Example(1, text="제목\n\n본문", file="file")
    example, _ = normal({"text": " 글 "})
    assert example == Example(1, text="글", file="file")
    example, _ = normal("줄")
    assert example == Example(1, text="줄", file="file")


def test_carriage_returns_and_numbers():
    example, counts = normal({"instruction": "a\r\nb", "output": 4})
    assert isinstance(example, Example)
    assert example.contents() == ["a\nb", "4"]
    assert counts == {"CRLF made LF": 1}


def test_headers_with_language_prefixes_are_pairs():
    assert match("pairs", ["ref", "ko_krv", "en_bbe", "en_kjv"]) == {
        "en": "en_bbe",
        "ko": "ko_krv",
    }


def test_the_form_of_the_most_rows_wins():
    rows = [{"text": "a"}, {"instruction": "a", "output": "b"}, {"instruction": "a", "output": "b"}]
    assert detect(rows, "file") == ("alpaca", None)
    with pytest.raises(
        BadData, match=r"file: the columns a, b fit no known form \(preference, messages,"
    ):
        detect([{"a": "1"}, {"b": "2"}], "file")


def test_duplicates_are_told_by_content_only():
    one, _ = normal({"instruction": "a", "output": "b"})
    two, _ = normal(turns(("human", "a"), ("gpt", "b")))
    three, _ = normal({"instruction": "a", "input": "b", "output": "b"})
    assert isinstance(one, Example)
    assert isinstance(two, Example)
    assert isinstance(three, Example)
    assert one.digest() == two.digest() != three.digest()


def test_columns_that_a_question_needs_are_used():
    found = chat({"system_prompt": "짧게", "question": "수도는?", "response": "서울"})
    assert found == [("system", "짧게"), ("user", "수도는?"), ("assistant", "서울")]
    for form in (
        {"question": "누구?", "answer": "미라"},
        {"prompt": "누구?", "completion": "미라"},
    ):
        example, _ = normal({**form, "context": "미라가 왔다."})
        assert isinstance(example, Example)
        assert example.messages[0] == {"role": "user", "content": "누구?", "input": "미라가 왔다."}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"instruction": "a", "output": "b", "tools": "[{}]"}, '"tools" says more than the form'),
        ({"question": "a", "answer": "b", "Images": ["x"]}, '"Images" says more than the form qa'),
        ({**turns(*ASKED), "history": [["a", "b"]]}, '"history" says more than the form'),
        ({"prompt": "a", "completion": "b", "label": "False"}, 'is a bad one by its "label"'),
        ({"prompt": "a", "completion": "b", "label": 0}, 'is a bad one by its "label"'),
        ({"prompt": "a", "completion": "b", "label": "undesirable"}, 'is a bad one by its "label"'),
        ({**turns(*ASKED), "label": 0.0}, 'is a bad one by its "label"'),
        ({"instruction": "a", "output": "b", "kto_tag": "0"}, 'is a bad one by its "kto_tag"'),
    ],
)
def test_columns_that_change_the_meaning_and_have_no_place(row: dict[str, Any], reason: str):
    found, _ = normal(row)
    assert isinstance(found, Reject)
    assert reason in found.reason


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "output": "b", "tools": "", "images": None, "history": []},
        {"prompt": "a", "completion": "b", "label": True},
        {"prompt": "a", "completion": "b", "label": 1},
        {"instruction": "a", "output": "b", "label": 0},  # a class
        {"text": "a", "label": False, "image": "x"},
    ],
)
def test_columns_that_say_nothing_or_not_of_a_chat(row: dict[str, Any]):
    assert isinstance(normal(row)[0], Example)
