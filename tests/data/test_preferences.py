"""Preference pairs, read from rows and built for Korean."""

import json
from pathlib import Path

from kollama2.data.preferences import prefer_korean, preferences
from kollama2.data.read import Example, Reject, read


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    return path


def test_pairs_of_a_file_and_what_is_none(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        [
            {"prompt": "수도는?", "chosen": "서울입니다.", "rejected": "It is Seoul."},
            {"prompt": "같다", "chosen": "답", "rejected": "답 "},
            {"prompt": "없다", "chosen": "답"},
        ],
    )
    reading = read(path, "preference")
    pair, *rejected = preferences(reading)
    assert isinstance(pair, Example)
    assert pair.prompt == ({"role": "user", "content": "수도는?"},)
    assert (pair.answer["content"], pair.rejected["content"]) == ("서울입니다.", "It is Seoul.")
    assert [one.reason for one in rejected if isinstance(one, Reject)] == [
        "the chosen and the rejected answer are the same",
        "has no columns of the form preference (found prompt, chosen)",
    ]
    assert reading.counts["in"] == 3 == reading.counts["kept"] + reading.counts["rejected"]
    (plain,) = preferences(read(write(tmp_path / "b.jsonl", [{"prompt": "x", "chosen": "y"}])))
    assert isinstance(plain, Reject)
    assert plain.reason == "a row without a rejected answer"


def test_korean_is_preferred_to_mixed(tmp_path: Path) -> None:
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
    found = list(prefer_korean(examples, words))
    assert [(one.answer["content"], one.rejected["content"]) for one in found] == [
        ("고양이가 사과를 먹었습니다.", "cat이 사과를 먹었습니다."),
    ]
    assert found[0].prompt == ({"role": "user", "content": "무엇을 먹었나요?"},)
