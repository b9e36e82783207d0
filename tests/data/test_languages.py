"""Languages of a corpus, by bytes."""

import json
from pathlib import Path

import pytest

from kollama2.data.languages import UNKNOWN, language_of, languages

KOREAN = "미라는 아침 일찍 시장에 가서 빨간 사과 세 개와 우유 한 병을 샀습니다."
ENGLISH = "The fox lives in the old town and sleeps under the table every evening."
FRENCH = "Le chat dort tranquillement sur la chaise pendant que les enfants jouent dehors."


def test_one_text_each() -> None:
    assert [language_of(text) for text in (KOREAN, ENGLISH, FRENCH, "1 + 1")] == [
        "ko",
        "en",
        "fr",
        UNKNOWN,
    ]


def test_shares_are_bytes_and_add_up(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join([ENGLISH] * 99 + [KOREAN]) + "\n", encoding="utf-8")
    found = languages(path)
    assert found.documents == 100
    assert found.bytes == 99 * len(ENGLISH) + len(KOREAN.encode())
    assert found.languages == {"en": 99 * len(ENGLISH), "ko": len(KOREAN.encode())}
    assert found.share("ko") == len(KOREAN.encode()) / found.bytes
    assert found.hangul_bytes == 3 * sum("가" <= c <= "힣" for c in KOREAN)


def test_short_lines_count_as_the_document_around_them(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "' + KOREAN + "\\nOK\\n\\n" + KOREAN + '"}\n', encoding="utf-8"
    )
    assert set(languages(tmp_path / "a.jsonl").languages) == {"ko"}


@pytest.mark.parametrize(
    "line",
    [
        "ㅋㅋㅋ",
        "ㅇㅇ",
        "ㅠㅠ",
        "ㅋ" * 40,
        "ㅇㅋ ok",
        "Python에서 list comprehension을 사용하면 됩니다",
    ],
)
def test_a_line_with_some_hangul_is_korean(tmp_path: Path, line: str) -> None:
    assert language_of(line) == "ko"
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": f"{ENGLISH}\n{line}"}), encoding="utf-8")
    found = languages(tmp_path / "a.jsonl").languages
    assert found == {"en": len(ENGLISH), "ko": len(line.encode())}


def test_a_korean_word_makes_no_line_korean() -> None:
    assert language_of("The Korean word 사랑 means love, as everybody in this town knows.") == "en"
