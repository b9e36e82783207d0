"""The item browser: what it holds, and what a reader can filter."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.evaluation.fidelity import FAULTS
from kollama2.reporting import items as module
from kollama2.reporting.items import browsed
from kollama2.reporting.study import load
from kollama2.reporting.texts import texts
from tests.reporting import fake


def tasks(store: Path, *recipes: str) -> dict[str, Any]:
    return {one["task"]: one for one in browsed(load(store, "quick"), recipes).tasks}


def test_a_choice_is_its_number_and_right_follows_from_the_records(store: Path) -> None:
    quiz = tasks(store, "base", "alpaca-full")["quiz-ko"]
    assert (quiz["choice"], quiz["total"], len(quiz["items"])) == (True, 60, 60)
    lock = json.loads((store / "studies" / "quick.json").read_text())
    folder = next(cell["evaluate"] for cell in lock["cells"] if cell["recipe"] == "alpaca-full")
    lines = [json.loads(one) for one in (store / folder / "items.jsonl").read_text().splitlines()]
    right = {
        one["item"]: one["value"] for one in lines
        if (one["task"], one["measure"]) == ("quiz-ko", "accuracy")
    }  # fmt: skip
    for item in quiz["items"]:
        assert item["ref"] == int(item["id"]) % 4
        assert item["r"][1] == int(right[item["id"]])
        assert (item["a"][1] == item["ref"]) == bool(item["r"][1])
    assert sum(item["r"][1] for item in quiz["items"]) > sum(item["r"][0] for item in quiz["items"])


def test_an_answer_is_its_text_and_other_recipes_may_lack_it(store: Path) -> None:
    answers = tasks(store, "base", "nobody", "vicuna-lora")["answer-ko"]
    first = answers["items"][0]
    assert not answers["choice"]
    assert first["a"] == [fake.ANSWERS["base"], None, fake.ANSWERS["vicuna-lora"]]
    assert first["ref"] == "서울입니다."
    assert "ref" not in answers["items"][1]


def test_the_faults_of_an_answer_are_named(store: Path, page: Path) -> None:
    found = tasks(store, "base", "alpaca-full", "alpaca-qlora")
    assert found["answer-ko"]["items"][0]["f"] == [["foreign", "stock"], [], ["loop"]]
    assert "f" not in found["quiz-ko"]["items"][0]
    data = json.loads(page.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0])
    assert data["texts"]["measure.loop"] == texts()["measure.loop"]
    assert {f"measure.{fault}" for fault in FAULTS} <= data["texts"].keys()


def test_a_long_task_is_thinned_evenly(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 20)
    quiz = tasks(store, "base")["quiz-ko"]
    assert [item["id"] for item in quiz["items"]] == [str(at) for at in range(0, 60, 3)]
    assert quiz["total"] == 60


def test_a_long_prompt_keeps_its_end_and_a_long_answer_its_beginning(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,), answers={"base": "가" * 3000})
    for path in tmp_path.glob("evaluate-*/samples.jsonl"):
        lines = [json.loads(one) for one in path.read_text().splitlines()]
        lines[0]["prompt"] = "예시 " * 1000 + "끝 질문"
        fake.rewrite(path, "".join(json.dumps(one) + "\n" for one in lines))
    first = tasks(tmp_path, "base")["answer-ko"]["items"][0]
    assert len(first["q"]) == module.LONGEST_PROMPT + 2
    assert first["q"].endswith("끝 질문")
    assert first["a"][0] == "가" * module.LONGEST_ANSWER + "…"


def test_the_page_holds_them_all(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert [one["task"] for one in data["items"]["tasks"]] == ["answer-ko", "quiz-ko"]
    assert data["items"]["recipes"][0] == "base"
    assert "문항별 비교" in text
