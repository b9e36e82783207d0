"""A guard in front of a served model and behind it: nothing unjudged reaches a client."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kollama2.safety.guard import REFUSAL_EN, REFUSAL_KO, Guard
from kollama2.safety.verdict import Dialog, Side, Verdict, last_text
from tests.serve.conftest import load, running, scripted, served

PATH = "/v1/chat/completions"
LONG = "The fox lives in the old town. " * 4


@dataclass
class Fake:
    """Finds a word unsafe, and keeps what it was asked."""

    word: str = "BAD"
    name: str = "fake"
    asked: list[tuple[str, Side]] = field(default_factory=list)

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        self.asked.append((last_text(dialog), side))
        bad = self.word in last_text(dialog)
        return Verdict(not bad, float(bad), self.name, "word" if bad else "")


class Broken(Fake):
    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        raise RuntimeError("the classifier is gone")


def ask(
    folder: Path, said: str, judge: Fake, asked: Any = "Hello", **how: Any
) -> tuple[list[Any], int]:
    """What a client gets whose model says one text, and how many jobs its model got."""
    model = load(folder)
    given = scripted(model, said)
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    with running(served(model, guard=Guard([judge]))) as server, server.client() as client:
        response = client.post(PATH, json={"model": "tiny", "messages": messages, **how})
        assert response.status_code == 200, response.text
        if not how.get("stream"):
            return [response.json()], len(given)
        assert response.text.endswith("data: [DONE]\n\n")
        events = response.text.split("\n\n")[:-2]
        return [json.loads(one.removeprefix("data: ")) for one in events], len(given)


def streamed(events: list[Any]) -> tuple[str, str]:
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in events)
    return text, events[-1]["choices"][0]["finish_reason"]


def test_what_is_safe_passes(tiny_model: Path) -> None:
    judge = Fake()
    (whole,), _ = ask(tiny_model, LONG, judge)
    assert whole["choices"][0]["message"]["content"] == LONG
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert judge.asked[0] == ("Hello", "input")
    assert judge.asked[-1] == (LONG, "output")
    assert streamed(ask(tiny_model, LONG, Fake(), stream=True)[0]) == (LONG, "stop")


@pytest.mark.parametrize(("asked", "refusal"), [("a BAD one", REFUSAL_EN), ("BAD 말", REFUSAL_KO)])
def test_an_unsafe_prompt_never_reaches_the_model(
    tiny_model: Path, asked: str, refusal: str
) -> None:
    (whole,), given = ask(tiny_model, LONG, Fake(), asked, n=2)
    assert [one["message"]["content"] for one in whole["choices"]] == [refusal] * 2
    assert {one["finish_reason"] for one in whole["choices"]} == {"content_filter"}
    assert given == 0
    events, given = ask(tiny_model, LONG, Fake(), asked, stream=True)
    assert streamed(events) == (refusal, "content_filter")
    assert given == 0


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_every_message_is_judged(tiny_model: Path, role: str) -> None:
    turns = [
        {"role": "system", "content": "a"}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "a"},
    ]  # fmt: skip
    messages = [
        {**one, "content": "BAD" if one["role"] == role else one["content"]} for one in turns
    ]
    _, given = ask(tiny_model, LONG, Fake(), [*messages, {"role": "user", "content": "go on"}])
    assert given == 0


def test_an_unsafe_answer_is_held_back(tiny_model: Path) -> None:
    said = f"{LONG}BAD words{LONG}"
    (whole,), _ = ask(tiny_model, said, Fake())
    assert whole["choices"][0]["message"]["content"] == REFUSAL_EN
    assert whole["choices"][0]["finish_reason"] == "content_filter"
    text, reason = streamed(ask(tiny_model, said, Fake(), stream=True)[0])
    assert said.startswith(text)
    assert "BAD" not in text
    assert reason == "content_filter"
    assert len(text) > 60, "what was judged safe with what follows it is shown"
    short = streamed(ask(tiny_model, "A BAD word", Fake(), stream=True)[0])
    assert short == (REFUSAL_EN, "content_filter")


def test_one_unsafe_answer_of_several_leaves_the_others(tiny_model: Path) -> None:
    (whole,), given = ask(tiny_model, "BAD", Fake(), n=3)
    assert [one["index"] for one in whole["choices"]] == [0, 1, 2]
    assert {one["finish_reason"] for one in whole["choices"]} == {"content_filter"}
    assert given == 3


def test_a_classifier_that_fails_lets_nothing_through(tiny_model: Path) -> None:
    (whole,), given = ask(tiny_model, LONG, Broken())
    assert whole["choices"][0]["message"]["content"] == REFUSAL_EN
    assert given == 0


def test_log_probabilities_would_say_what_is_held_back(tiny_model: Path) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "logprobs": True}
    model = served(load(tiny_model), guard=Guard([Fake()]))
    with running(model) as server, server.client() as client:
        refused = client.post(PATH, json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "logprobs"
