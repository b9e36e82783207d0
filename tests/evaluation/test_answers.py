from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF

from kollama2.evaluation.answers import Answer, judged, questions
from kollama2.evaluation.kinds import Translation
from kollama2.evaluation.rows import read_rows


def pairs(tmp_path: Path, ko: str = "여우가 잔다.\n\n책을 읽는다.\n") -> Translation:
    (tmp_path / "t.en").write_text("The fox sleeps.\n\nI read a book.\n", encoding="utf-8")
    (tmp_path / "t.ko").write_text(ko, encoding="utf-8")
    files = {"en": str(tmp_path / "t.en"), "ko": str(tmp_path / "t.ko")}
    return Translation(name="t", measure_kind="translation", files=files)


def test_files_belong_together_line_by_line(tmp_path: Path) -> None:
    rows = read_rows(pairs(tmp_path))
    assert [(row["id"], row["en"], row["ko"]) for row in rows] == [
        ("1", "The fox sleeps.", "여우가 잔다."),
        ("3", "I read a book.", "책을 읽는다."),
    ]
    with pytest.raises(ValueError, match=r"t.en has 3 lines and t.ko 1"):
        read_rows(pairs(tmp_path, "여우가 잔다.\n"))


def test_chrf_is_sacrebleus_and_empty_answers_are_failures(tmp_path: Path) -> None:
    task = pairs(tmp_path)
    rows = read_rows(task)
    asked = questions(task, rows)
    assert [(one.item, one.shown) for one in asked] == [
        ("1 en-ko", "The fox sleeps."), ("3 en-ko", "I read a book."),
        ("1 ko-en", "여우가 잔다."), ("3 ko-en", "책을 읽는다."),
    ]  # fmt: skip
    assert asked[0].messages[0]["content"].endswith("한국어로 번역하세요.\nThe fox sleeps.")
    said = [
        None if text is None else Answer(text, stopped=True, tokens=None)
        for text in ("여우가 잔다.", "", " The dog sleeps.\n", None)
    ]
    outcome = judged(task, rows, asked, said)
    values = {(one["measure"], one["item"]): one["value"] for one in outcome.records}
    assert values["chrf_en_ko", "1"] == pytest.approx(100)
    assert values["chrf_en_ko", "3"] == 0
    stock = CHRF(word_order=2)
    expected = stock.sentence_score("The dog sleeps.", ["The fox sleeps."]).score
    assert values["chrf_ko_en", "1"] == pytest.approx(expected)
    assert (outcome.empty, outcome.failed, outcome.truncated) == (1, 1, 1)
    assert "nw:2" in outcome.corpus["chrf_en_ko"]["signature"]
    assert [one["item"] for one in outcome.samples] == ["1 en-ko", "3 en-ko", "1 ko-en"]
