"""Exact answers in chat: a model at hand and one behind an endpoint, scored to the digit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.evaluation.chats import ExactMatch
from kollama2.evaluation.endpoint import Endpoint, Reply
from kollama2.evaluation.evaluate import evaluate
from kollama2.evaluation.exact import answered, questions
from kollama2.evaluation.generate import greedy
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.outcome import Outcome, scores
from kollama2.evaluation.remote import answer_suite
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.suite import Suite
from tests.evaluation.models import ByteEncoder, PieceEncoder, constant
from tests.evaluation.server import said as answer
from tests.evaluation.server import serving

CHOICES = ["봄", "여름", "가을"]


def written(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return str(path)


def seasons(folder: Path, golds: str, **fields: Any) -> tuple[ExactMatch, list[Row]]:
    rows = [{"question": f"{at}?", "choices": CHOICES, "gold": one} for at, one in enumerate(golds)]
    settings = {"prompts": ("{question}",), "extract": "letter", "gold": "letter", **fields}
    data = written(folder / "t.jsonl", *rows)
    task = ExactMatch(name="t", measure_kind="exact_match", data=data, **settings)
    return task, read_rows(task)


def always(token: str) -> nn.Module:
    """A model that says one byte, again and again."""
    p = torch.full((260,), 0.001)
    p[ord(token) + 3] = 1 - 0.001 * 259
    return constant(p)


def measured(task: ExactMatch, rows: list[Row], token: str) -> Outcome:
    model = always(token)
    return answered(task, rows, Tools(Scorer(model), ByteEncoder()), model)


def test_a_model_that_always_says_c_is_right_where_c_is(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "CACB", max_new_tokens=1)
    outcome = measured(task, rows, "C")
    assert scores(outcome.records) == {"t/exact": 0.5, "t/extracted": 1}
    assert [one["value"] for one in outcome.records if one["measure"] == "exact"] == [1, 0, 1, 0]
    assert outcome.counts().plain() == {
        "items": 4, "truncated": 0, "unscorable": 0, "empty": 0, "failed": 0, "unanswered": 0
    }  # fmt: skip
    assert outcome.samples[1] == {
        "task": "t",
        "item": "2",
        "prompt": "1?\n\nA. 봄\nB. 여름\nC. 가을",
        "answer": "C",
        "reference": "A",
        "extracted": "C",
        "choices": ["A", "B", "C"],
        "tokens": 1,
        "stopped": False,
    }


def test_an_answer_without_a_letter_is_wrong_and_counted(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "CACB", max_new_tokens=2)  # it says CC
    outcome = measured(task, rows, "C")
    assert scores(outcome.records) == {"t/exact": 0, "t/extracted": 0}
    assert outcome.counts().plain()["unanswered"] == 4
    assert outcome.flags == ["4 of 4 answers hold nothing that can be extracted"]


def test_a_constant_letter_is_flagged(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "ABC" * 8, max_new_tokens=1)
    assert measured(task, rows, "B").flags == ["degenerate: 100% of answers are 'B'"]


def test_what_does_not_fit_the_model_is_left_out(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "CC", max_new_tokens=1)
    rows[0]["question"] = "x" * 600
    outcome = measured(task, rows, "C")
    assert outcome.truncated == 1
    assert {one["item"] for one in outcome.records} == {"2"}


def test_a_model_that_sees_little_answers_in_half_of_it(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "CC", max_new_tokens=4096)
    outcome = measured(task, rows, "C")
    assert [one["tokens"] for one in outcome.samples] == [256, 256]
    assert outcome.flags[-1] == "answers are cut at 256 tokens, not 4096: the model sees 512"


def test_shots_are_the_first_rows_and_are_not_asked(tmp_path: Path) -> None:
    task, rows = seasons(tmp_path, "ABC", shots=2, prompts=("질문: {question}",))
    (asked,) = questions(task, rows)
    assert [one["content"] for one in asked.messages] == [
        "질문: 0?\n\nA. 봄\nB. 여름\nC. 가을",
        "정답: A",
        "질문: 1?\n\nA. 봄\nB. 여름\nC. 가을",
        "정답: B",
        "질문: 2?\n\nA. 봄\nB. 여름\nC. 가을",
    ]
    assert [one["role"] for one in asked.messages] == ["user", "assistant"] * 2 + ["user"]
    with pytest.raises(BadData, match="its 3 shots are the first of 3 rows"):
        questions(*seasons(tmp_path, "ABC", shots=3))


RULES = [
    {"question": "쉼표 없이", "rules": ["punctuation:no_comma"], "arguments": [{}]},
    {"question": "쉼표 없이 JSON으로",
     "rules": ["punctuation:no_comma", "detectable_format:json_format"], "arguments": [{}, {}]},
    {"question": "독일어로", "rules": ["punctuation:no_comma", "language:response_language"],
     "arguments": [{}, {"language": "de"}]},
]  # fmt: skip
SUMS = [{"question": "둘 더하기 둘?", "gold": 4}, {"question": "백 나누기 넷?", "gold": "25.0"}]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """All that ko-chat is made of, in little."""
    rows = [{"question": f"{at}?", "choices": CHOICES, "gold": at} for at in (1, 2)]
    chosen = {
        "extract": "letter",
        "gold": "from_1",
        "prompts": ["{question}", "골라요. {question}"],
    }
    counted = {"extract": "number", "gold": "number", "prompts": ["{question}"]}
    parts = [{"measure": "choose/exact"}, {"measure": "sum/exact"}, {"measure": "rules/follows"}]
    kinds: list[dict[str, Any]] = [
        {"name": "choose", "measure_kind": "exact_match", **chosen},
        {"name": "sum", "measure_kind": "exact_match", **counted},
        {"name": "rules", "measure_kind": "instruction_rules"},
    ]
    for kind, data in zip(kinds, (rows, SUMS, RULES), strict=True):
        kind |= {"data": written(tmp_path / f"{kind['name']}.jsonl", *data), "max_new_tokens": 8}
    mean = {"name": "k", "measure_kind": "mean", "parts": parts}
    return Suite.model_validate({"name": "s", "primary": "k/points", "tasks": [*kinds, mean]})


class Fake:
    """Answers by the end of a question; remembers what it was asked."""

    model = "fake"

    def __init__(self, answers: dict[str, str]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def ask(self, messages: Any, max_tokens: int) -> Reply:
        self.asked.append(messages[-1]["content"])
        start = self.asked[-1].splitlines()[0]
        return Reply(self._answers[start], True, 3, refused=not self._answers[start])


ANSWERS = {
    "1?": "<think>정답: B</think>봄입니다. 정답: A",
    "골라요. 1?": "정답은 **A**입니다.",
    "2?": "정답: B",
    "골라요. 2?": "잘 모르겠습니다.",
    "둘 더하기 둘?": "<think>둘과 둘은 4",  # the limit of tokens cut the thought
    "백 나누기 넷?": "따라서 \\boxed{25}",
    "쉼표 없이": "네 좋습니다.",
    "쉼표 없이 JSON으로": '["네", "좋아요"]',
}


def test_an_endpoint_is_measured_with_everything(suite: Suite, tmp_path: Path) -> None:
    fake, out = Fake(ANSWERS), tmp_path / "out"
    out.mkdir()
    found = answer_suite(suite, fake, out, lambda *_, **__: None)
    assert len(fake.asked) == 8  # none of the item whose rule cannot be decided
    assert found["scores"] == {
        "choose/exact": 0.75,
        "choose/extracted": 0.75,
        "sum/exact": 0.5,
        "sum/extracted": 0.5,
        "rules/follows": 0.5,
        "rules/kept": pytest.approx(2 / 3),
        "k/points": pytest.approx(100 * (0.75 + 0.5 + 0.5) / 3),
    }
    nothing = {"truncated": 0, "unscorable": 0}
    assert found["counts"] == {
        "choose": {"items": 2, "empty": 0, "failed": 0, "unanswered": 1, **nothing},
        "sum": {"items": 2, "empty": 1, "failed": 1, "unanswered": 1, **nothing},
        "rules": {"items": 3, "empty": 0, "failed": 0, "unknown_rules": 1, **nothing},
        "k": {"items": 6, "empty": 0, "failed": 0, **nothing},
    }
    records = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert [one.get("by_prompt") for one in records if one["measure"] == "exact"] == [
        [1, 1], [1, 0], None, None
    ]  # fmt: skip
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert [one.get("extracted") for one in samples] == ["A", "B", None, "25", None, None]
    assert samples[0]["whole"] == ANSWERS["1?"]
    assert samples[-1]["broken"] == ["punctuation:no_comma"]


def test_an_endpoint_is_asked_over_http(suite: Suite, tmp_path: Path) -> None:
    with serving(lambda body: answer("<think>정답: B</think>\n정답: A")) as server:
        endpoint = Endpoint(server.url, "m")
        found = answer_suite(suite, endpoint, tmp_path, lambda *_, **__: None)
    assert found["scores"]["choose/exact"] == 0.5
    assert found["scores"]["rules/kept"] == pytest.approx(2 / 3)
    assert {(one["max_tokens"], one["temperature"]) for one in server.bodies} == {(8, 0.0)}
    assert [len(one["messages"]) for one in server.bodies] == [1] * 8


def test_a_broken_answer_follows_nothing(suite: Suite, tmp_path: Path) -> None:
    broken = {**ANSWERS, "쉼표 없이": "네\ufffd"}
    found = answer_suite(suite, Fake(broken), tmp_path, lambda *_, **__: None)
    assert found["scores"]["rules/follows"] == 0
    assert found["counts"]["rules"]["failed"] == 1


def test_what_is_left_out_is_said(suite: Suite, tmp_path: Path) -> None:
    from kollama2.evaluation.answers import Question
    from kollama2.evaluation.exact import outcome_of

    task = suite.tasks[2]
    rows = read_rows(task)
    asked: list[Question] = questions(task, rows)  # type: ignore[arg-type]
    outcome = outcome_of(task, rows, asked, [None] * len(asked))  # type: ignore[arg-type]
    assert outcome.flags == [
        "1 of 3 items are left out: they have rules that cannot be decided "
        "(language:response_language)"
    ]
    assert outcome.truncated == 2


def test_a_tiny_model_goes_through_the_whole_suite(
    suite: Suite, tiny_model: Path, tmp_path: Path
) -> None:
    model, encoder = LlamaForCausalLM.from_pretrained(tiny_model), PieceEncoder(tiny_model)
    whole, out = tmp_path / "out", {}
    for batch_tokens in (1, 10_000):
        folder = whole / str(batch_tokens)
        folder.mkdir(parents=True)
        found = evaluate(
            suite, model=model, encoder=encoder, out=folder, progress=lambda *_, **__: None,
            resources=Resources(micro_batch_tokens=batch_tokens),
        )  # fmt: skip
        found.pop("seconds")
        out[batch_tokens] = found
    assert out[1] == out[10_000]
    assert tuple(out[1]["scores"]) == suite.measures()
    # The text is that of plain greedy decoding, and the suite's id is that of an endpoint's.
    samples = [json.loads(one) for one in (whole / "1" / "samples.jsonl").read_text().splitlines()]
    question = questions(suite.tasks[1], read_rows(suite.tasks[1]))[0]  # type: ignore[arg-type]
    (ids, _), = greedy(
        model.eval(), [encoder.prompt(question.messages)], max_new_tokens=8,
        stop_ids=encoder.stop_ids, batch_tokens=1,
    )  # fmt: skip
    assert samples[2]["answer"] == encoder.decode(ids).rstrip("\ufffd")
    there = tmp_path / "there"
    there.mkdir()
    asked = answer_suite(suite, Fake(ANSWERS), there, lambda *_, **__: None)
    assert asked["suite"] == out[1]["suite"]
    assert out[1]["chance"] == {"choose/exact": pytest.approx(1 / 3)}
