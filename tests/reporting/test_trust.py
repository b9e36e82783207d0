"""What a row rests on: contamination, suite ids, counts of what went wrong."""

import io
import json
import shutil
from pathlib import Path

import pytest

from kollama2.reporting.cautions import flag_text
from kollama2.reporting.html import write_report
from kollama2.reporting.table import leaderboard
from kollama2.reporting.terminal import render_terminal
from tests.reporting import fake


def values(store: Path, recipe: str, *, beyond: int) -> tuple[float, float]:
    """Sums of values and weights of a recipe's text-ko items from number `beyond` on."""
    lock = json.loads((store / "studies" / "quick.json").read_text())
    cell = next(cell for cell in lock["cells"] if cell["recipe"] == recipe)
    value = weight = 0.0
    for line in (store / cell["evaluate"] / "items.jsonl").read_text().splitlines():
        item = json.loads(line)
        if (item["task"], item["measure"]) == ("text-ko", "bpb") and int(item["item"]) >= beyond:
            value += item["value"]
            weight += item["weight"]
    return value, weight


def test_a_score_without_the_items_that_were_seen(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,), seen={"alpaca-lora": 7})
    board = leaderboard(tmp_path, "quick")
    rows = {row.recipe: row for row in board.rows}
    seen = rows["alpaca-lora"].trust.seen
    assert seen is not None
    assert (seen.flagged, seen.judged) == (
        {"text-ko": 7, "quiz-ko": 0},
        {"text-ko": 58, "quiz-ko": 55},
    )
    clean, all_items = values(tmp_path, "alpaca-lora", beyond=7), rows["alpaca-lora"].score
    assert all_items is not None
    assert seen.clean == pytest.approx(clean[0] / clean[1], rel=1e-12)
    assert seen.difference == pytest.approx(clean[0] / clean[1] - all_items, rel=1e-9)
    said = next(one for one in board.warnings["en"] if "training data" in one)
    assert said.startswith("alpaca-lora, text-ko: in the training data: 7 of 58 items. Without")
    assert f"{seen.clean:.4f}" in said
    assert "학습 데이터에 들어 있습니다" in board.warnings["ko"][0]


def test_clean_data_say_so_and_the_base_has_none(store: Path) -> None:
    rows = {row.recipe: row for row in leaderboard(store, "quick").rows}
    found = rows["alpaca-full"].trust.seen
    assert found is not None
    assert (found.flagged["text-ko"], found.clean) == (0, None)
    assert rows["base"].trust.seen is None
    assert rows["base"].trust.checked


def test_nothing_clean_is_left(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,), items=20, seen={"alpaca-full": 20})
    board = leaderboard(tmp_path, "quick")
    seen = next(row.trust.seen for row in board.rows if row.recipe == "alpaca-full")
    assert seen is not None
    assert seen.clean is None
    assert "proves nothing" in board.warnings["en"][0]


def test_what_was_not_looked_through_is_said(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    for done in tmp_path.glob("contamination-*/done.json"):
        shutil.rmtree(done.parent)
    board = leaderboard(tmp_path, "quick")
    assert sum("not looked through" in one for one in board.warnings["en"]) == 4
    assert not next(row for row in board.rows if row.recipe == "alpaca-full").trust.checked


def test_every_row_names_its_suite_and_what_failed(store: Path, page: Path) -> None:
    board = leaderboard(store, "quick")
    assert {row.trust.suites["quick"][0] for row in board.rows} == {"9f8e7d6c5b4a"}
    rows = {row.recipe: row.trust for row in board.rows}
    assert rows["vicuna-lora"].truncated == 2 * 2  # two of its three seeds are computed
    assert rows["alpaca-lora"].unscorable == 3
    assert rows["alpaca-qlora"].empty == 9
    assert rows["base"].flags == {"quiz-ko": ["degenerate: 98% of answers are choice 1"]}
    text = page.read_text(encoding="utf-8")
    assert text.count("quick 9f8e7d6c5b4a") == len(board.rows)
    assert "점수의 신뢰 근거" in text
    assert text.count("채점할 토큰이 없어 점수 없음") == 1
    assert "No token to score, no score" in text


def test_flags_are_told_in_both_languages() -> None:
    assert flag_text("the tokenizer changes 1,203 of 9,000 bytes in 3 of 40 items") == {
        "en": "the tokenizer changes 1,203 of 9,000 bytes, in 3 of 40 items",
        "ko": "토크나이저가 문항 40개 중 3개에서 9,000바이트 중 1,203바이트를 바꿉니다",
    }
    left = (
        "9 of 300 items are left out: the tokenizer makes no token of a text that is to be scored"
    )
    assert flag_text(left)["ko"].startswith("문항 300개 중 9개는")
    assert flag_text("2 texts of one word are left out")["ko"].startswith("2 texts")


def test_the_wide_terminal_shows_it(tmp_path: Path) -> None:
    from rich.console import Console

    fake.write(tmp_path, seeds=(0,), seen={"alpaca-lora": 7})
    written = io.StringIO()
    Console(width=160, file=written).print(render_terminal(leaderboard(tmp_path, "quick"), 160))
    lines = written.getvalue().splitlines()
    assert any("alpaca-lora" in line and "7/113 !" in line for line in lines)
    assert any("alpaca-full" in line and "0/113" in line for line in lines)


def test_an_older_store_without_checks_still_has_a_report(tmp_path: Path) -> None:
    fake.write(tmp_path / "store", seeds=(0,))
    path = tmp_path / "store" / "studies" / "quick.json"
    lock = json.loads(path.read_text())
    for cell in lock["cells"]:
        del cell["contamination"]
    path.write_text(json.dumps(lock))
    assert write_report(tmp_path / "store", "quick", tmp_path / "out").is_file()


def test_guessing_and_orders_that_a_prompt_decides_are_said(tmp_path: Path) -> None:
    fake.write(tmp_path / "store", seeds=(0, 1))
    lock = json.loads((tmp_path / "store" / "studies" / "quick.json").read_text())
    for cell in lock["cells"]:
        done = tmp_path / "store" / cell["evaluate"] / "done.json"
        better = cell["recipe"] == "alpaca-full"
        more = {
            "chance": {"quiz-ko/p_gold": 0.25},
            "by_prompt": {"quiz-ko/p_gold": [0.4, 0.1, 0.9] if better else [0.2, 0.2, 0.2]},
        }
        fake.change(done, lambda record: record["metrics"].update(more))  # noqa: B023
    board = leaderboard(tmp_path / "store", "quick")
    rows = {row.recipe: row.measures["quiz-ko/p_gold"] for row in board.rows}
    assert [name for name, one in rows.items() if one.guessed] == ["base", "base-copy"]
    assert not board.rows[0].measures["quiz-ko/accuracy"].guessed
    said = next(one for one in board.warnings["en"] if "prompts" in one)
    assert "3 of 11, such as alpaca-full over base." in said
    text = write_report(tmp_path / "store", "quick", tmp_path).read_text(encoding="utf-8")
    assert text.count("무작위 추측과 구분되지 않음") == 2
