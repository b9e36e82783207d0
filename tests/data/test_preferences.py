"""Preference pairs, read from rows and built for Korean."""

import json
from pathlib import Path

import pytest

from kollama2.data.preferences import prefer_korean, read_preferences
from kollama2.data.read import Example, read
from kollama2.errors import BadData


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    return path


def test_rows_in_their_usual_forms(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "수도는?"},
        {"role": "assistant", "content": "서울입니다."},
    ]
    path = write(
        tmp_path / "a.jsonl",
        [
            {"prompt": "수도는?", "chosen": "서울입니다.", "rejected": "It is Seoul."},
            {
                "instruction": "더하세요.",
                "input": "1+1",
                "chosen": "2입니다.",
                "rejected": "3입니다.",
            },
            {"prompt": "수도는?", "chosen": turns, "rejected": [{"role": "gpt", "value": "Seoul"}]},
            {"prompt": "같다", "chosen": "답", "rejected": "답"},
            {"prompt": "없다", "chosen": "답"},
        ],
    )
    counts: dict[str, int] = {}
    found = list(read_preferences(path, counts))
    assert counts == {"in": 5, "rejected": 2}
    assert [(one.chosen, one.rejected) for one in found] == [
        ("서울입니다.", "It is Seoul."),
        ("2입니다.", "3입니다."),
        ("서울입니다.", "Seoul"),
    ]
    assert found[1].prompt == ({"role": "user", "content": "더하세요.", "input": "1+1"},)
    with pytest.raises(BadData, match="no row has a prompt, a chosen and a rejected"):
        list(read_preferences(write(tmp_path / "b.jsonl", [{"prompt": "x", "chosen": "y"}]), {}))


def test_korean_is_preferred_to_mixed_and_to_english(tmp_path: Path) -> None:
    rows = [
        {"instruction": "무엇을 먹었나요?", "output": "고양이가 사과를 먹었습니다."},
        {"instruction": "날씨는?", "output": "비가 옵니다."},
        {"instruction": "Say hello.", "output": "Hello there, my friend."},
        {"instruction": "인사하세요.", "output": "안녕하세요."},
    ]
    examples = [
        one for one in read(write(tmp_path / "a.jsonl", list(rows))) if isinstance(one, Example)
    ]
    words = {"고양이": "cat", "사과": "apple"}
    found = list(prefer_korean(examples, words, english={4: "Hello."}, share=1))
    assert [(one.chosen, one.rejected) for one in found] == [
        ("고양이가 사과를 먹었습니다.", "cat이 apple을 먹었습니다."),
        ("안녕하세요.", "Hello."),
    ]
    assert found[0].prompt == ({"role": "user", "content": "무엇을 먹었나요?"},)
