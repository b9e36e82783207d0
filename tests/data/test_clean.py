"""Cleaning: every document is kept or rejected with its reason, and nothing is half-written."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.data.clean import clean
from kollama2.data.near import NearIndex
from kollama2.data.tidy import Rules, tidy
from kollama2.errors import BadData, BadUsage

STORY = (
    "미라는 아침 일찍 시장에 갔습니다. 빨간 사과 세 개와 우유 한 병을 샀습니다. "
    "돌아오는 길에 공원에서 친구를 만나 오랫동안 이야기를 나누었습니다. "
    "저녁에는 가족과 함께 따뜻한 국을 먹고 책을 읽다가 잠이 들었습니다."
)
OTHER = (
    "정부는 내년부터 지방 도서관의 개관 시간을 두 시간 늘리기로 했다고 밝혔다. "
    "이용자 조사에서 저녁에도 책을 빌리고 싶다는 의견이 가장 많았기 때문이다."
)
ENGLISH = "The government said that libraries will stay open two hours longer from next year on."


def corpus(folder: Path, documents: list[str]) -> Path:
    path = folder / "in.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in documents]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_document_and_why(tmp_path: Path) -> None:
    nearly = f"{STORY} 끝."
    source = corpus(
        tmp_path,
        [STORY, STORY.replace(" ", "  "), nearly, OTHER, ENGLISH, "짧다.", f"{OTHER[:60]}\n" * 6],
    )
    with source.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    found = clean([source], tmp_path / "out")
    assert (found.documents_in, found.kept, found.rejected) == (8, 2, 6)
    assert [row["text"] for row in rows(tmp_path / "out/corpus.jsonl")] == [STORY, OTHER]
    rejected = {row["id"]: row for row in rows(tmp_path / "out/rejected.jsonl")}
    assert {name: row["reason"] for name, row in rejected.items() if name != "in.jsonl:8"} == {
        "in.jsonl:2": "repeats an earlier document",
        "in.jsonl:3": "nearly repeats an earlier document",
        "in.jsonl:5": "under 30% Hangul",
        "in.jsonl:6": "under 50 characters",
        "in.jsonl:7": "repeats its lines",
    }
    assert rejected["in.jsonl:2"]["of"] == rejected["in.jsonl:3"]["of"] == "in.jsonl:1"
    assert found.reasons == dict(sorted(found.reasons.items(), key=lambda one: -one[1]))
    assert sum(found.reasons.values()) == 6
    assert found.bytes_kept == len((STORY + OTHER).encode())


def test_documents_are_mended_and_the_changes_counted(tmp_path: Path) -> None:
    page = (
        f"로그인\n{STORY}\n\n\n\n문의: 010-1234-5678\n저작권자 ⓒ 하늘일보, 무단 전재 및 재배포 금지"
    )
    source = corpus(tmp_path, [unicodedata.normalize("NFD", OTHER), page])
    found = clean([source], tmp_path / "out")
    kept = [row["text"] for row in rows(tmp_path / "out/corpus.jsonl")]
    assert kept == [OTHER, f"{STORY}\n\n문의: [전화번호]"]
    assert found.changes["boilerplate lines dropped"] == 2
    assert found.changes["phone number masked"] == 1


class Apples:
    """Held-out texts, as far as cleaning knows them."""

    items, too_short = 2, 1

    def __contains__(self, document: str) -> bool:
        return "사과" in document


def test_a_document_that_holds_a_text_of_a_suite_is_removed(tmp_path: Path) -> None:
    found = clean([corpus(tmp_path, [STORY, OTHER])], tmp_path / "out", held_out=Apples())
    assert found.reasons == {"holds a text of a suite": 1}
    assert found.held_out == (2, 1)
    assert [row["text"] for row in rows(tmp_path / "out/corpus.jsonl")] == [OTHER]
    assert clean([corpus(tmp_path, [STORY])], tmp_path / "all").held_out == (0, 0)


def test_near_duplicates_by_their_similarity() -> None:
    index = NearIndex(0.8)
    assert index.find_or_add("a", STORY) is None
    assert index.find_or_add("b", OTHER) is None
    name, similar = index.find_or_add("c", STORY + " 끝.") or ("", 0)
    assert name == "a"
    assert similar > 0.9
    assert NearIndex(0.8).find_or_add("x", "가") is None  # shorter than one piece


def test_memory_does_not_grow_with_a_long_document() -> None:
    index = NearIndex(0.8)
    long = "".join(chr(0xAC00 + n * 7919 % 11172) for n in range(60_000))
    assert index.find_or_add("long", long) is None
    assert (index.find_or_add("again", long) or ("", 0))[1] == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="가나다 abc\n.0@-", max_size=200), min_size=1, max_size=20))
def test_nothing_is_lost(documents: list[str]) -> None:
    for text in documents:
        done = tidy(text, Rules(min_characters=1))
        again = tidy(done.text, Rules(min_characters=1))
        assert again.text == done.text  # mending twice changes nothing more
        if done.reason is None:
            assert done.text.strip() == done.text != ""


def test_bad_input(tmp_path: Path) -> None:
    source = corpus(tmp_path, [ENGLISH])
    with pytest.raises(BadData, match=r"none of 1 documents is kept \(1 x under 30% Hangul\)"):
        clean([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "there").mkdir()
    with pytest.raises(BadUsage, match="exists; name a new folder"):
        clean([source], tmp_path / "there")
    with pytest.raises(BadUsage, match="near_duplicates is 0"):
        clean([source], tmp_path / "out", near_duplicates=0)
    chats = tmp_path / "chats.jsonl"
    chats.write_text('{"instruction": "인사", "output": "안녕"}\n', encoding="utf-8")
    with pytest.raises(BadData, match="holds chats"):
        clean([chats], tmp_path / "out")
    assert {one.name for one in tmp_path.iterdir()} == {"in.jsonl", "chats.jsonl", "there"}


def test_a_column_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"body_ko": STORY}) + "\n", encoding="utf-8")
    found = clean([tmp_path / "in.jsonl"], tmp_path / "out", columns={"text": "body_ko"})
    assert found.kept == 1
    assert rows(tmp_path / "out/corpus.jsonl")[0]["text"] == STORY
