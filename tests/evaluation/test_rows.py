import unicodedata
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from kollama2.errors import BadData
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.suite import Task


def rows(path: Path, kind: str = "bits_per_byte", **fields: Any) -> list[Row]:
    task: Task = TypeAdapter(Task).validate_python(
        {"name": "t", "measure_kind": kind, "data": str(path), **fields}
    )
    return read_rows(task)


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_jsonl_is_nfc_and_has_ids_and_clusters(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "한글")
    content = f'{{"text": "{nfd}"}}\n\n{{"id": 7, "cluster": "c", "text": "a\\u2028b"}}\n'
    assert rows(write(tmp_path / "x.jsonl", content)) == [
        {"text": "한글", "id": "1", "cluster": "1"},
        {"text": "a\u2028b", "id": "7", "cluster": "c"},
    ]


def test_lines_and_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "하나\r\n\n둘\n셋\n")
    assert [row["text"] for row in rows(path, limit=2)] == ["하나", "둘"]
    assert [row["id"] for row in rows(path)] == ["1", "3", "4"]


def test_tables_with_and_without_a_header(tmp_path: Path) -> None:
    tsv = write(tmp_path / "x.tsv", 'q\tbody\n1\t"인용" 글\n')
    assert rows(tsv, columns={"text": "body"})[0]["text"] == '"인용" 글'
    csv = write(tmp_path / "x.csv", 'Hi,"안녕, 너"\n')
    found = rows(csv, "translation_pmi", columns={"en": 0, "ko": 1})
    assert (found[0]["en"], found[0]["ko"]) == ("Hi", "안녕, 너")
    with pytest.raises(BadData, match="no column 'text'"):
        rows(tsv, columns={"text": "text"})
    with pytest.raises(BadData, match="line 2 has 3 cells where 2 were expected"):
        rows(write(tmp_path / "y.tsv", "q\ttext\n1\ta\tb\n"))


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("bits_per_byte", "", "holds no rows"),
        ("bits_per_byte", "{", "line 1"),
        ("bits_per_byte", "[1]", "not a JSON object"),
        ("bits_per_byte", '{"text": ""}', "line 1 has no 'text'"),
        ("bits_per_byte", '{"id":1,"text":"a"}\n{"id":1,"text":"b"}', "id '1' twice"),
        ("instruction_gain", '{"messages": [{"role": "user"}]}', "no 'answer'"),
        ("multiple_choice", '{"question":"?","choices":["a","b"],"gold":2}', "gold 2"),
        ("multiple_choice", '{"question":"?","choices":["a"],"gold":0}', "among 1 choices"),
        ("multiple_choice", '{"question":"?","choices":["a",""],"gold":0}', "choice is empty"),
        ("multiple_choice", '{"choices":["a","b"],"gold":0}', "neither 'messages' nor"),
    ],
)
def test_bad_rows_say_where(tmp_path: Path, kind: str, content: str, message: str) -> None:
    with pytest.raises(BadData, match=message):
        rows(write(tmp_path / "x.jsonl", content), kind)


def test_a_missing_file_and_an_unknown_form(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no data file"):
        rows(tmp_path / "x.jsonl")
    with pytest.raises(BadData, match="give `format`"):
        rows(write(tmp_path / "x.bin", "a"))
