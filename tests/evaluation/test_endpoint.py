"""The client of an OpenAI-compatible endpoint, against a real server on loopback."""

from typing import Any

import pytest

from kollama2.errors import BadUsage, Denied, Missing, TryLater
from kollama2.evaluation import endpoint
from kollama2.evaluation.endpoint import Endpoint
from tests.evaluation.server import said, serving

ASKED = [{"role": "user", "content": "안녕하세요?"}]


def test_it_asks_as_the_protocol_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    with (
        serving(lambda body: said("네, 안녕하세요.")) as server,
        Endpoint(server.url + "/", "small", key_variable="MY_KEY") as endpoint,
    ):
        reply = endpoint.ask(ASKED, 48)
    assert reply == ("네, 안녕하세요.", True, 3, False)
    assert server.bodies == [
        {
            "model": "small", "messages": ASKED, "max_tokens": 48, "temperature": 0.0,
            "path": "/v1/chat/completions",
        }
    ]  # fmt: skip
    assert server.headers[0]["authorization"] == "Bearer secret"


def test_no_key_and_no_temperature_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with (
        serving(lambda body: said("짧게", "length")) as server,
        Endpoint(server.url, "small", temperature=None) as endpoint,
    ):
        assert not endpoint.ask(ASKED, 1).stopped
    assert "authorization" not in server.headers[0]
    assert "temperature" not in server.bodies[0]


def test_what_passes_is_tried_again_with_growing_pauses() -> None:
    answers = iter([(500, "busy"), (429, "slow down"), (200, "no JSON"), said("됐습니다.")])
    waited: list[float] = []
    with (
        serving(lambda body: next(answers)) as server,
        Endpoint(server.url, "small", wait=waited.append) as endpoint,
    ):
        assert endpoint.ask(ASKED, 9).text == "됐습니다."
    assert waited == [1.0, 7.0, 4.0]  # the server asked for seven seconds
    assert len(server.bodies) == 4


def test_a_filter_is_an_answer_that_failed() -> None:
    filtered: list[tuple[int, Any]] = [
        (400, {"error": {"code": "content_filter"}}), said(None, "content_filter"),
    ]  # fmt: skip
    answers = iter(filtered)
    with serving(lambda body: next(answers)) as server, Endpoint(server.url, "small") as endpoint:
        for _ in filtered:
            reply = endpoint.ask(ASKED, 9)
            assert (reply.text, reply.refused) == ("", True)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ((401, "no"), Denied, "refuses the key .status 401.; set OPENAI_API_KEY"),
        ((404, "no model 'small'"), BadUsage, "status 404: no model 'small'"),
        ((503, "down"), TryLater, "status 503, 5 times in a row"),
    ],
)
def test_what_stays_is_one_sentence(
    answer: tuple[int, str], error: type[Exception], says: str
) -> None:
    with (
        serving(lambda body: answer) as server,
        Endpoint(server.url, "small", wait=lambda seconds: None) as endpoint,
        pytest.raises(error, match=says),
    ):
        endpoint.ask(ASKED, 9)


def test_nobody_there() -> None:
    with serving(lambda body: said("x")) as server:
        url = server.url
    with (
        Endpoint(url, "small", wait=lambda seconds: None) as endpoint,
        pytest.raises(Missing, match="no answer"),
    ):
        endpoint.ask(ASKED, 9)
    with Endpoint("gopher://x", "small") as endpoint, pytest.raises(BadUsage, match="no address"):
        endpoint.ask(ASKED, 9)


@pytest.mark.parametrize("text", ["x" * 200_000, "[" * 90_000])
def test_an_answer_that_is_too_large_is_not_read(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "LARGEST", 100_000)
    answer = (200, [text] if text[0] == "x" else text)
    with (
        serving(lambda *_: answer) as server,
        Endpoint(server.url, "m", wait=lambda _: None) as model,
        pytest.raises(TryLater, match=r"more than 100,000 bytes|no chat completion"),
    ):
        model.ask([{"role": "user", "content": "?"}], 8)


def test_an_answer_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LONGEST", -1.0)
    with (
        serving(lambda *_: said("hello")) as server,
        Endpoint(server.url, "m", wait=lambda _: None) as model,
        pytest.raises(TryLater, match="an answer that takes longer than -1 s, 5 times in a row"),
    ):
        model.ask([{"role": "user", "content": "?"}], 8)


def test_halves_of_characters_and_counts_that_are_none() -> None:
    body = {
        "choices": [{"message": {"content": "여\ud800우"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": "many"},
    }
    with (
        serving(lambda *_: (200, body)) as server,
        Endpoint(server.url, "m", wait=lambda _: None) as model,
    ):
        assert model.ask([{"role": "user", "content": "?"}], 8) == ("여\ufffd우", True, None, False)


@pytest.mark.parametrize("key", ["sk-한국어", "sk-\nx", "sk \x07"])
def test_a_key_that_is_none_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(BadUsage, match="OPENAI_API_KEY holds no key") as caught:
        Endpoint("http://127.0.0.1:9/v1", "m")
    assert "sk" not in str(caught.value)
