"""Rows of chat tasks from every layout that data sets have, and what makes data unusable."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from kollama2.errors import BadData
from kollama2.evaluation.chats import ExactMatch, InstructionRules
from kollama2.evaluation.contamination import item_texts
from kollama2.evaluation.items import suite_items
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.suite import Suite

PROMPT = ("{question}",)


def exact(data: Path, **fields: Any) -> ExactMatch:
    settings = {"extract": "letter", "gold": "letter", "prompts": PROMPT, **fields}
    return ExactMatch(name="t", measure_kind="exact_match", data=str(data), **settings)


def rules(data: Path) -> InstructionRules:
    columns = {"id": "key", "question": "prompt", "rules": "ids", "arguments": "kwargs"}
    return InstructionRules(
        name="t", measure_kind="instruction_rules", data=str(data), columns=columns
    )


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def asked(row: Row) -> tuple[str, list[str], list[str]]:
    return row["question"], row.get("choices", []), row["golds"]


FOUR = ["봄", "여름", "가을", "겨울"]
LISTED = "꽃은?\n\nA. 봄\nB. 여름\nC. 가을\nD. 겨울"


@pytest.mark.parametrize(
    ("fields", "row", "expected"),
    [
        # A list and a position from 1, as a string (KMMLU-Pro).
        ({"gold": "from_1", "columns": {"choices": "options", "gold": "solution"}},
         {"question": "꽃은?", "options": FOUR, "solution": "3"}, (LISTED, list("ABCD"), ["C"])),
        # A list and a position from 0 (MMLU).
        ({"gold": "from_0", "columns": {"gold": "answer"}},
         {"question": "꽃은?", "choices": FOUR, "answer": 0}, (LISTED, list("ABCD"), ["A"])),
        # A list, the text of the right one, and a text to read before (CLIcK).
        ({"gold": "text", "columns": {"context": "paragraph", "gold": "answer"}},
         {"paragraph": "계절", "question": "꽃은?", "choices": FOUR[:2], "answer": "여름"},
         ("계절\n\n꽃은?\n\nA. 봄\nB. 여름", ["A", "B"], ["B"])),
        ({"gold": "text", "columns": {"context": "paragraph", "gold": "answer"}},
         {"paragraph": "", "question": "꽃은?", "choices": ["봄", "봄"], "answer": "봄"},
         ("꽃은?\n\nA. 봄\nB. 봄", ["A", "B"], ["A", "B"])),
        # A column for each choice, and a letter (KMMLU).
        ({"choices": ("A", "B"), "columns": {"gold": "answer"}},
         {"question": "꽃은?", "A": 1, "B": 2.5, "answer": "b"},
         ("꽃은?\n\nA. 1\nB. 2.5", ["A", "B"], ["B"])),
        # Choices within the question (KoBALT).
        ({"letters": 10, "columns": {"question": "Question", "gold": "Answer"}},
         {"Question": "꽃은?\nA: 봄", "Answer": "J"},
         ("꽃은?\nA: 봄", list("ABCDEFGHIJ"), ["J"])),
        # Numbers, as such (HRM8K) and at the end of a solution (GSM8K).
        ({"extract": "number", "gold": "number", "columns": {"gold": "answer"}},
         {"question": "1+1?", "answer": 2.0}, ("1+1?", [], ["2"])),
        ({"extract": "number", "gold": "number", "columns": {"gold": "answer"}},
         {"question": "1+1?", "answer": "She has 1+1=2.\n#### 1,002"}, ("1+1?", [], ["1002"])),
    ],
)  # fmt: skip
def test_every_layout_says_what_is_right(
    tmp_path: Path, fields: dict[str, Any], row: dict[str, Any], expected: Any
) -> None:
    (found,) = read_rows(exact(jsonl(tmp_path / "t.jsonl", row), **fields))
    assert asked(found) == expected
    assert found["reference"] == expected[2][0]
    assert "A" not in found
    if expected[1]:
        assert found["choices"][found["gold"]] == found["reference"]


@pytest.mark.parametrize(
    ("fields", "row", "message"),
    [
        ({}, {"question": "꽃은?", "choices": FOUR, "gold": "E"}, "'E' is none of the 4 choices"),
        ({"gold": "from_1"}, {"question": "꽃은?", "choices": FOUR, "gold": 0}, "'0' is none of"),
        ({"gold": "from_0"}, {"question": "꽃은?", "choices": FOUR, "gold": 4}, "'4' is none of"),
        ({"gold": "text"}, {"question": "?", "choices": FOUR, "gold": "꽃"}, "'꽃' is none of"),
        ({}, {"question": "꽃은?", "gold": "A"}, "no list of 2 to 10 choices: None"),
        ({}, {"question": "꽃은?", "choices": ["봄"], "gold": "A"}, "no list of 2 to 10 choices"),
        ({}, {"question": "꽃은?", "choices": ["봄", " "], "gold": "A"}, "a choice is empty"),
        ({}, {"choices": FOUR, "gold": "A"}, "has no 'question'"),
        ({"choices": ("A", "B")}, {"question": "꽃은?", "A": "봄", "gold": "A"}, "no column 'B'"),
        ({}, {"question": ["꽃은?"], "choices": FOUR, "gold": "A"}, r"\['꽃은\?'\] is no text"),
        ({"columns": {"gold": "Answer"}}, {"question": "꽃은?"}, "has no column 'Answer'"),
        ({"extract": "number", "gold": "number"}, {"question": "1+1?", "gold": "둘"},
         "the answer '둘' is no number"),
    ],
)  # fmt: skip
def test_unusable_data_are_one_sentence(
    tmp_path: Path, fields: dict[str, Any], row: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadData, match=message) as error:
        read_rows(exact(jsonl(tmp_path / "t.jsonl", row), **fields))
    assert "\n" not in str(error.value)
    assert "t.jsonl" in str(error.value)


def test_rules_lose_the_empty_arguments_of_a_table(tmp_path: Path) -> None:
    row = {"key": 7, "prompt": "써 주세요.", "ids": ["a:b"], "kwargs": [{"n": 1, "m": None}]}
    (found,) = read_rows(rules(jsonl(tmp_path / "t.jsonl", row)))
    assert (found["id"], found["rules"], found["arguments"]) == ("7", ["a:b"], [{"n": 1}])
    row["kwargs"] = ['{"n": 1}']
    assert read_rows(rules(jsonl(tmp_path / "t.jsonl", row))) == [found]
    for wrong in ([], [1], ["{"], "x"):
        row["kwargs"] = wrong
        with pytest.raises(BadData, match=r"no 'arguments'|not one mapping"):
            read_rows(rules(jsonl(tmp_path / "t.jsonl", row)))


def test_contamination_reads_every_row(tmp_path: Path) -> None:
    rows = [
        *read_rows(exact(jsonl(tmp_path / "a.jsonl", ROWS[0]))),
        *read_rows(
            exact(
                jsonl(tmp_path / "b.jsonl", {"question": "1+1?", "gold": 2, "choices": ["x"]}),
                extract="number",
                gold="number",
            )
        ),
    ]
    assert item_texts(rows[0]) == ["가?\n\nA. 봄\nB. 여름\nC. 가을\nD. 겨울 B"]
    assert item_texts(rows[1]) == ["1+1? 2"]


ROWS = [{"question": f"{one}?", "choices": FOUR, "gold": "B"} for one in "가나다"]


def test_a_file_may_be_a_list_or_parquet(tmp_path: Path) -> None:
    expected = read_rows(exact(jsonl(tmp_path / "t.jsonl", *ROWS)))
    listed = tmp_path / "train.jsonl"
    listed.write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "t.json").write_text(json.dumps(ROWS))
    datasets.Dataset.from_list(ROWS).to_parquet(str(tmp_path / "t.parquet"))
    for name in ("train.jsonl", "t.json", "t.parquet"):
        assert read_rows(exact(tmp_path / name)) == expected
    assert read_rows(exact(tmp_path / "t.parquet", limit=2)) == expected[:2]
    (tmp_path / "bad.parquet").write_text("no table")
    (tmp_path / "bad.json").write_text('{"question": 1}')
    (tmp_path / "worse.json").write_text("[1]")
    for name, message in (
        ("bad.parquet", "is no Parquet file"),
        ("bad.json", "is no list of JSON objects"),
        ("worse.json", "row 1 is not a JSON object"),
    ):
        with pytest.raises(BadData, match=message):
            read_rows(exact(tmp_path / name))


CARD = """---
configs:
- config_name: small
  data_files:
  - {split: raw, path: small/items.json}
- config_name: all
  data_files:
  - {split: test, path: all/*.jsonl}
---
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a data set with two configurations, as the hub's client leaves it."""
    folder = tmp_path / "copy"
    (folder / "small").mkdir(parents=True)
    (folder / "all").mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "small" / "items.json").write_text(json.dumps(ROWS), encoding="utf-8")
    for number in (1, 2):
        row = {"question": f"{number} 더하기 1?", "answer": number + 1.0, "original": "x"}
        jsonl(folder / "all" / f"{number}.jsonl", row)
    return folder


def test_a_copy_of_the_hub_is_read_as_its_card_says(copy: Path, tmp_path: Path) -> None:
    found = read_rows(exact(copy, split="raw"))  # the first configuration
    assert found == read_rows(exact(copy, config="small", split="raw"))
    assert found == read_rows(exact(jsonl(tmp_path / "t.jsonl", *ROWS)))
    numbers = {"extract": "number", "gold": "number", "columns": {"gold": "answer"}}
    found = read_rows(exact(copy, config="all", **numbers))
    assert [(one["id"], one["golds"]) for one in found] == [("1", ["2"]), ("2", ["3"])]
    for fields in ({"config": "some"}, {"config": "all", "split": "dev"}):
        with pytest.raises(BadData, match="cannot be read as a data set of the hub") as error:
            read_rows(exact(copy, **{**numbers, **fields}))
        assert "\n" not in str(error.value)


def test_a_suite_is_the_same_from_a_copy_and_from_a_file(copy: Path, tmp_path: Path) -> None:
    def identity(place: Path, rows: list[dict[str, Any]] | None = None) -> str:
        task = exact(Path("hf:a/b"), split="raw")
        suite = Suite(name="s", primary="t/exact", tasks=(task,))
        return suite_items(suite.resolved(lambda uri: place)).suite

    file = jsonl(tmp_path / "t.jsonl", *ROWS)
    before = identity(file)
    assert identity(copy) == before
    jsonl(file, *ROWS[:2])
    assert identity(file) != before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompts": ["풀어 보세요."]}, "must hold {question} exactly once"),
        ({"prompts": []}, "prompts"),
        ({"prompts": ["{question}"] * 4}, "prompts"),
        ({"shown": "답"}, "must hold {gold} exactly once"),
        ({"extract": "number"}, "extract number does not go with gold letter"),
        ({"extract": "number", "gold": "number", "letters": 4}, "are for extract: letter"),
        ({"letters": 4, "choices": ["A", "B"]}, "stand in the question only"),
        ({"letters": 11}, "letters"),
        ({"extract": "word"}, "extract"),
        ({"shots": -1}, "shots"),
    ],
)
def test_what_a_task_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact(Path("x"), **fields)
