"""A suite's generation half behind an endpoint: measured, resumed, no item asked twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import BadUsage, TryLater
from kollama2.evaluation.endpoint import Reply
from kollama2.evaluation.remote import answer_suite
from kollama2.evaluation.suite import Suite
from kollama2.records.items import load_items

QUESTIONS = ("수도는 어디인가요?", "봄꽃을 말해 주세요.", "하나 더하기 둘은?", "안녕?")


class Fake:
    """Answers from a list and fails at a given question."""

    def __init__(self, answers: dict[str, Reply], fails: str = "") -> None:
        self.asked: list[str] = []
        self._answers, self._fails = answers, fails

    def ask(self, messages: Any, max_tokens: int) -> Reply:
        question = messages[-1]["content"]
        if question == self._fails:
            raise TryLater("http://x: status 503, 5 times in a row")
        self.asked.append(question)
        return self._answers[question]


ANSWERS = {
    QUESTIONS[0]: Reply("수도는 서울입니다.", True, 5),
    QUESTIONS[1]: Reply("Roses and tulips.", True, 5),
    QUESTIONS[2]: Reply("", False, 0, refused=True),
    QUESTIONS[3]: Reply("네 네 네 네 네 네 네 네 네", False, 9),
}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    path = tmp_path / "answers.jsonl"
    rows = [{"messages": [{"role": "user", "content": one}], "id": one} for one in QUESTIONS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = tmp_path / "text.txt"
    text.write_text("글입니다.")
    return Suite.model_validate(
        {
            "name": "small",
            "primary": "text/bpb",
            "tasks": [
                {"name": "text", "measure_kind": "bits_per_byte", "data": str(text)},
                {"name": "answers", "measure_kind": "generation", "data": str(path)},
            ],
        }
    )


def test_only_answers_are_measured_and_failures_count(suite: Suite, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    heard: list[float] = []
    metrics = answer_suite(
        suite, Fake(ANSWERS), out, lambda done, *rest, **more: heard.append(done)
    )
    assert heard == [0, 1, 2, 3, 4]
    faults = {"foreign": 1, "empty": 1, "loop": 1}
    counts = {"items": 4, "truncated": 0, "unscorable": 0, "empty": 1, "failed": 1}
    assert metrics["counts"] == {"answers": {**counts, "faults": faults}}
    assert metrics["measures"]["answers/empty"] == {
        "title": "empty answers", "unit": "share", "higher": False
    }  # fmt: skip
    assert metrics["flags"] == {
        "answers": [
            "foreign: 1 of 4 answers are not in Korean",
            "loop: 1 of 4 answers repeat themselves",
        ]
    }
    assert metrics["suite"] == suite.hash()
    items = load_items(out / "items.jsonl")
    assert set(items) == {name for name in suite.measures() if name.startswith("answers/")}
    fidelity = dict(
        zip(items["answers/fidelity"].item, items["answers/fidelity"].value, strict=True)
    )
    # Korean; English; empty; a loop of one word.
    assert [fidelity[one] for one in QUESTIONS] == [1, 0, 0, 0]
    assert metrics["scores"]["answers/fidelity"] == 0.25
    samples = [json.loads(one) for one in (out / "samples.jsonl").read_text().splitlines()]
    assert [one["answer"] for one in samples] == [ANSWERS[one].text for one in QUESTIONS]
    assert [one.get("faults") for one in samples] == [None, ["foreign"], ["empty"], ["loop"]]


def test_it_goes_on_where_it_failed_and_asks_nothing_twice(suite: Suite, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    out.mkdir()
    whole.mkdir()
    first = Fake(ANSWERS, fails=QUESTIONS[2])
    with pytest.raises(TryLater, match=r"2 of 4 items are answered"):
        answer_suite(suite, first, out, lambda *rest, **more: None)
    with (out / "replies.jsonl").open("a") as lines:
        lines.write('{"task": "answers", "it')  # killed while it wrote
    second = Fake(ANSWERS)
    metrics = answer_suite(suite, second, out, lambda *rest, **more: None)
    assert (first.asked, second.asked) == (list(QUESTIONS[:2]), list(QUESTIONS[2:]))
    assert metrics == answer_suite(suite, Fake(ANSWERS), whole, lambda *rest, **more: None)
    for name in ("items.jsonl", "samples.jsonl", "replies.jsonl"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_suite_without_generation_cannot_be_answered(suite: Suite, tmp_path: Path) -> None:
    only = suite.model_copy(update={"tasks": suite.tasks[:1]})
    with pytest.raises(BadUsage, match="has no task that is answered in chat"):
        answer_suite(only, Fake(ANSWERS), tmp_path, lambda *rest, **more: None)
