"""Published figures stand only beside what was measured by the same protocol."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.reporting.anchors import fitting, published, reproduced
from kollama2.reporting.html import write_report
from kollama2.reporting.study import load
from kollama2.reporting.table import leaderboard
from tests.reporting import fake

TASK = {"name": "copa", "measure_kind": "harness", "tasks": ["kobest_copa"], "num_fewshot": 5}


def store(tmp_path: Path, **changes: Any) -> Path:
    """A study whose suite has an lm-eval task, with lm-eval's aggregates and paraphrases."""
    fake.write(tmp_path, seeds=(0, 1))
    for number, folder in enumerate(sorted(tmp_path.glob("evaluate-*"))):
        stage = {"kind": "evaluate", "suite": {"tasks": [{**TASK, **changes}]}}
        fake.rewrite(folder / "stage.json", json.dumps(stage))
        more = {
            "reproduced": {
                "kobest_copa": {"f1": 0.5 + number / 100, "acc": 0.6},
                "kobest_wic": {"f1": 0.4},
            },
            "by_prompt": {"copa/p_gold": [0.5, 0.62, 0.55], "copa/acc": [0.1, 0.9]},
        }
        fake.change(folder / "done.json", lambda record: record["metrics"].update(more))  # noqa: B023
    return tmp_path


def test_the_same_protocol_has_its_anchors(tmp_path: Path) -> None:
    (found,) = reproduced(load(store(tmp_path), "quick"))
    assert (found.task, found.shots, found.metric) == ("kobest_copa", 5, "f1")
    assert {one.model: one.value for one in found.anchors} == {
        "Llama-2-7B": 0.576, "llama-2-ko-7b (20B)": 0.763, "polyglot-ko-12.8b": 0.811,
    }  # fmt: skip
    lock = json.loads((tmp_path / "studies" / "quick.json").read_text())
    each = [
        json.loads((tmp_path / cell["evaluate"] / "done.json").read_text())
        for cell in lock["cells"] if cell["recipe"] == "alpaca-lora"
    ]  # fmt: skip
    mean = sum(one["metrics"]["reproduced"]["kobest_copa"]["f1"] for one in each) / 2
    assert found.scores["alpaca-lora"] == pytest.approx(mean)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_fewshot": 3},
        {"fewshot": "fixed"},
        {"chat": True},
        {"limit": 100},
        {"include": "file:own-tasks"},
        {"tasks": ["ko_copa_1"]},
        {"measure_kind": "multiple_choice"},
    ],
)
def test_another_protocol_has_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert reproduced(load(store(tmp_path, **changes), "quick")) == []


def test_other_examples_are_another_protocol() -> None:
    shot = {one.model: one.value for one in fitting("kobest_copa", 0, "f1")}
    assert shot["Llama-2-7B"] == 0.562
    assert fitting("kobest_copa", 5, "acc") == ()
    assert not any(
        one.model.startswith("polyglot") and one.task == "kobest_hellaswag" for one in published()
    )


def test_the_page_draws_them_and_the_range_over_prompts(tmp_path: Path) -> None:
    text = write_report(store(tmp_path / "store"), "quick", tmp_path).read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    values = data["charts"]["anchored-kobest_copa-5-f1"]["data"]["values"]
    assert [one["score"] for one in values if "anchor" in one] == [0.576, 0.763, 0.811]
    assert "Llama-2-7B 0.576" in text
    assert "공개된 수치와 비교" in text
    assert "copa/p_gold 0.500–0.620" in text
    rows = leaderboard(tmp_path / "store", "quick").rows
    assert rows[0].trust.prompts["copa/acc"] == (0.1, 0.9)
