import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.data.encode import Input, encode
from kollama2.errors import BadData, BadUsage
from kollama2.model.chat import TextEncoder
from kollama2.model.folder import ModelFolder
from kollama2.model.tokenizer import load_tokenizer
from tests.model.families import FAMILIES


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(folder: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    found: list[dict[str, Any]] = parquet.read_table(folder / "rows.parquet").to_pylist()
    return found


def asked(number: int, answer: str = "대답") -> dict[str, str]:
    return {"instruction": f"질문 {number}", "input": "", "output": answer}


def test_rows_are_what_the_chat_encoder_gives(tmp_path: Path, tiny_tokenizer: Path):
    path = write(tmp_path / "a.jsonl", asked(1), "{broken", asked(2), asked(1))
    summary = encode(path, tiny_tokenizer, tmp_path / "out", template="llama2", max_length=128)
    encoder = TextEncoder(load_tokenizer(tiny_tokenizer), "llama2")
    one = encoder.encode(
        [{"role": "user", "content": "질문 1"}, {"role": "assistant", "content": "대답"}]
    )
    found = rows(tmp_path / "out")
    assert [row["id"] for row in found] == ["a.jsonl:1", "a.jsonl:3"]
    assert found[0]["input_ids"] == one.ids
    assert found[0]["labels"] == one.labels
    assert found[0]["bytes"] == len("질문 1대답".encode())
    assert found[0]["ko_bytes"] == 12
    written = json.loads((tmp_path / "out/encoding.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(summary))
    assert summary["counts"] == {"in": 4, "kept": 2, "rejected": 1, "duplicates": 1}
    assert (summary["template"], summary["max_length"], summary["loss"]) == (
        "llama2",
        128,
        "assistant",
    )
    assert (summary["bos"], summary["eos"]) == (1, 2)
    assert summary["rows"] == 2
    assert summary["tokens"] == sum(len(row["input_ids"]) for row in found)
    assert summary["learned"] == sum(i != -100 for row in found for i in row["labels"])
    (rejected,) = (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rejected) == {
        "file": "a.jsonl",
        "line": 2,
        "reason": "not JSON: Expecting property name enclosed in double quotes at column 2",
        "sample": "{broken",
    }


def test_documents_are_split_without_loss(tmp_path: Path, tiny_tokenizer: Path):
    texts = ["한국어 문장입니다. " * 9 + str(number) for number in range(5)]
    path = write(tmp_path / "a.txt", *texts)
    summary = encode(path, tiny_tokenizer, tmp_path / "out", template="plain", max_length=32)
    found = rows(tmp_path / "out")
    tokenizer = load_tokenizer(tiny_tokenizer)
    whole = [i for text in texts for i in (1, *tokenizer.encode(text), 2)]
    assert [i for row in found for i in row["input_ids"]] == whole
    assert max(len(row["input_ids"]) for row in found) == 32
    assert found[1]["id"] == "a.txt:1#1"
    assert sum(row["bytes"] for row in found) == sum(len(text.encode()) for text in texts)
    assert sum(row["ko_bytes"] for row in found) == 5 * 9 * 8 * 3
    assert summary["counts"]["documents split"] == 5


def test_a_budget_takes_bytes_by_seed(tmp_path: Path, tiny_tokenizer: Path):
    path = write(tmp_path / "a.txt", *(f"문장 번호 {number}" for number in range(100)))

    def ids(seed: int, budget: int) -> set[str]:
        out = tmp_path / "out"
        summary = encode(
            path,
            tiny_tokenizer,
            out,
            template="plain",
            max_length=64,
            budget_bytes=budget,
            seed=seed,
        )
        found = rows(out)
        assert budget - 3 < sum(row["bytes"] for row in found) <= budget
        counts = summary["counts"]
        assert counts["in"] == 100 == counts["kept"] + counts["beyond the budget"]
        return {row["id"] for row in found}

    assert ids(0, 300) == ids(0, 300) != ids(1, 300)
    assert ids(0, 300) < ids(0, 600)


def test_encoding_is_deterministic_to_the_byte(tmp_path: Path, tiny_tokenizer: Path):
    path = write(tmp_path / "a.jsonl", *map(asked, range(30)))
    for name in ("one", "two"):
        encode(path, tiny_tokenizer, tmp_path / name, template="kullm", max_length=512)
    for file in ("rows.parquet", "encoding.json", "rejected.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_mixing_by_bytes(tmp_path: Path, tiny_tokenizer: Path):
    korean = write(tmp_path / "ko.txt", *(f"한국어 {number:03}" for number in range(100)))
    english = write(tmp_path / "en.txt", *(f"English {number:03}" for number in range(100)))
    inputs = [Input(korean, weight=3), Input(english, weight=1)]
    encode(inputs, tiny_tokenizer, tmp_path / "out", template="plain", max_length=64)
    taken = {"ko.txt": 0, "en.txt": 0}
    for row in rows(tmp_path / "out"):
        taken[row["id"].partition(":")[0]] += row["bytes"]
    assert taken["ko.txt"] == 1300
    assert taken["en.txt"] == 433


def test_long_chats_and_what_is_counted(tmp_path: Path, tiny_tokenizer: Path):
    turn = [{"from": "human", "value": "질문"}, {"from": "gpt", "value": "대답"}]
    path = write(
        tmp_path / "a.jsonl",
        {"conversations": turn * 10},
        {"conversations": [turn[0], {"from": "gpt", "value": "긴 " * 200}]},
        {"conversations": [{"from": "human", "value": "긴 " * 200}, turn[1]]},
        {"conversations": [{"from": "gpt", "value": "먼저"}, *turn]},
    )
    summary = encode(path, tiny_tokenizer, tmp_path / "out", template="vicuna", max_length=256)
    assert summary["counts"] == {
        "in": 4,
        "kept": 3,
        "rejected": 1,
        "trailing turns dropped": 1,
        "answers cut": 1,
        "first turn by the model dropped": 1,
    }
    assert summary["reasons"] == {"no answer within 256 tokens": 1}
    turns, cut, whole = rows(tmp_path / "out")
    assert turns["input_ids"][-1] == 2
    assert len(turns["input_ids"]) <= 256
    assert len(cut["input_ids"]) == 256
    assert cut["input_ids"][-1] != 2
    assert whole["input_ids"][-1] == 2


def test_several_paths_and_loss_all(tmp_path: Path, tiny_tokenizer: Path):
    one, two = write(tmp_path / "a.jsonl", asked(1)), write(tmp_path / "b.txt", "글")
    encode(
        [one, two], tiny_tokenizer, tmp_path / "out", template="kullm", max_length=512, loss="all"
    )
    found = rows(tmp_path / "out")
    assert [row["id"] for row in found] == ["a.jsonl:1", "b.txt:1"]
    for row in found:
        assert row["labels"] == [-100, *row["input_ids"][1:]]


def test_nothing_to_learn_and_bad_usage(tmp_path: Path, tiny_tokenizer: Path):
    path = write(tmp_path / "a.jsonl", asked(1))
    with pytest.raises(BadData, match=r"nothing to learn is left of a\.jsonl \(1 x no answer with"):
        encode(path, tiny_tokenizer, tmp_path / "out", template="kullm", max_length=8)
    with pytest.raises(BadUsage, match="max_length is 1"):
        encode(path, tiny_tokenizer, tmp_path / "out", template="kullm", max_length=1)
    with pytest.raises(BadUsage, match="no source to encode"):
        encode([], tiny_tokenizer, tmp_path / "out", template="kullm", max_length=8)
    with pytest.raises(BadUsage, match="no template 'x'"):
        encode(path, tiny_tokenizer, tmp_path / "out", template="x", max_length=8)


def test_progress_is_told(tmp_path: Path, tiny_tokenizer: Path):
    path = write(tmp_path / "a.jsonl", *map(asked, range(600)))
    told = list[tuple[float, float, str]]()
    encode(
        path,
        tiny_tokenizer,
        tmp_path / "out",
        template="llama2",
        max_length=64,
        progress=lambda *figures: told.append(figures),
    )
    assert told == [(512, 0, "rows"), (600, 0, "rows")]


def test_what_the_template_cannot_write_is_rejected(tmp_path: Path, tiny_tokenizer: Path):
    call = {"function": {"name": "f", "arguments": "{}"}}
    ask, say = {"role": "user", "content": "묻다"}, {"role": "assistant", "content": "답하다"}
    called = [ask, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "값"}]
    path = write(
        tmp_path / "a.jsonl",
        {"messages": [*called, say]},
        {"messages": [ask, {**say, "reasoning": "생각"}]},
        {"messages": [ask, say], "tools": [{"name": "f"}]},
        {"messages": [ask, say]},
    )
    summary = encode(path, tiny_tokenizer, tmp_path / "out", template="kullm", max_length=512)
    tools = "the template kullm has no form for tools"
    thoughts = "the template kullm has no form for reasoning"
    assert summary["counts"] == {"in": 4, "kept": 1, "rejected": 3}
    assert summary["reasons"] == {tools: 2, thoughts: 1}
    told = json.loads((tmp_path / "out" / "encoding.json").read_text(encoding="utf-8"))
    assert told["reasons"] == summary["reasons"]
    text = (tmp_path / "out" / "rejected.jsonl").read_text(encoding="utf-8")
    rejected = [json.loads(line) for line in text.splitlines()]
    assert [(one["line"], one["reason"]) for one in rejected] == [
        (1, tools),
        (2, thoughts),
        (3, tools),
    ]


def test_tools_and_thoughts_are_learned_by_the_models_own_template(tmp_path: Path):
    folder = FAMILIES["qwen3"].write(tmp_path / "model")
    call = {"function": {"name": "f", "arguments": '{"a": "가"}'}}
    turns = [
        {"role": "user", "content": "묻다"},
        {"role": "assistant", "tool_calls": [call], "reasoning": "생각"},
        {"role": "tool", "content": "값"},
        {"role": "assistant", "content": "답하다", "reasoning": "다시"},
    ]
    path = write(tmp_path / "a.jsonl", {"messages": turns, "tools": [{"name": "f"}]})
    summary = encode(path, folder, tmp_path / "out", template="own", max_length=512)
    assert summary["counts"] == {"in": 1, "kept": 1, "rejected": 0}
    (row,) = rows(tmp_path / "out")
    said = [i for i in row["labels"] if i != -100]
    assert len(row["labels"]) == len(row["input_ids"])
    plain = ModelFolder.read(folder).plain_tokenizer
    assert plain.decode(said) == (
        '<think>\n생각\n</think>\n\n<tool_call>\n{"name": "f", "arguments": {"a": "가"}}\n'
        "</tool_call><|im_end|><think>\n다시\n</think>\n\n답하다<|im_end|>"
    )
    texts = ["묻다", "생각", '{"name": "f", "arguments": {"a": "가"}}', "값", "다시", "답하다"]
    assert row["bytes"] == sum(len(text.encode()) for text in texts)
