"""Another server behind the same door: ours, and one that misbehaves."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from kollama2.safety.guard import REFUSAL_EN, Guard
from kollama2.serve.served import Served
from kollama2.serve.upstream import Upstream
from tests.loopback import Loopback, Quiet
from tests.loopback import running as faking
from tests.serve.conftest import Running, load, running, served, slow, until
from tests.serve.test_safety import Fake

ASKED = [{"role": "user", "content": "What does the farmer sell?"}]
CHAT = "/v1/chat/completions"


@contextmanager
def before(
    url: str, guard: Guard | None = None, key: str | None = None, **options: Any
) -> Iterator[Running]:
    """A server that passes on to another."""
    upstream = Upstream(f"{url}/v1", key, **options)
    found = served(guard=guard)
    with running(Served({}, found.moderator, guard, 60.0, upstream)) as door:
        yield door


def test_what_comes_through_is_what_it_says(server: Running) -> None:
    with (
        before(server.url) as door,
        openai.OpenAI(base_url=f"{door.url}/v1", api_key="x", max_retries=0) as client,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as direct,
    ):
        assert [one.id for one in client.models.list()] == ["tiny"]
        how: dict[str, Any] = {
            "model": "tiny", "messages": ASKED, "temperature": 0, "max_tokens": 20,
            "logprobs": True, "n": 2,
        }  # fmt: skip
        ours, theirs = (one.chat.completions.create(**how) for one in (client, direct))
        assert ours.choices == theirs.choices
        assert ours.usage == theirs.usage
        chunks = list(client.chat.completions.create(**how, stream=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices[0].index == 1)
        assert text == ours.choices[1].message.content
        with pytest.raises(openai.NotFoundError, match="there are tiny"):
            client.chat.completions.create(model="large", messages=ASKED)
        with pytest.raises(openai.BadRequestError, match="no such parameter"):
            client.chat.completions.create(**how, extra_body={"chat_template": "x"})
        text = client.completions.create(model="tiny", prompt="A", max_tokens=3, seed=1)
        same = direct.completions.create(model="tiny", prompt="A", max_tokens=3, seed=1)
        assert text.choices == same.choices


def test_clients_may_ask_for_the_named_models_alone(server: Running) -> None:
    with before(server.url, names=["small"]) as door, door.client() as client:
        assert client.get("/v1/models").json()["data"] == []
        response = client.post(CHAT, json={"model": "tiny", "messages": ASKED})
        assert response.status_code == 404


def test_its_answers_are_judged_too(server: Running) -> None:
    with server.client() as client:
        how = {"model": "tiny", "messages": ASKED, "temperature": 0, "max_tokens": 30}
        said = client.post(CHAT, json=how).json()
    text = said["choices"][0]["message"]["content"]
    with before(server.url, Guard([Fake("\x00")])) as door, door.client() as client:
        found = client.post(CHAT, json=how).json()
        assert found["choices"] == said["choices"]
        assert found["usage"] == said["usage"]
        streamed = client.post(CHAT, json={**how, "stream": True}).text
        events = [json.loads(one[6:]) for one in streamed.split("\n\n")[:-2]]
        assert "".join(e["choices"][0]["delta"].get("content", "") for e in events) == text
    with before(server.url, Guard([Fake(text[8:12])])) as door, door.client() as client:
        found = client.post(CHAT, json=how).json()["choices"][0]
        assert found["message"]["content"] == REFUSAL_EN
        assert found["finish_reason"] == "content_filter"
        asked = [{"role": "user", "content": text[8:12]}]
        found = client.post(CHAT, json={**how, "messages": asked}).json()
        assert found["choices"][0]["message"]["content"] == REFUSAL_EN
        until(lambda: door.served.upstream and door.served.upstream.running == 0)


def test_too_many_and_those_that_go(tiny_model: Path) -> None:
    model = slow(load(tiny_model))
    body = {"model": "tiny", "messages": ASKED, "max_tokens": 400, "temperature": 1.5}
    with (
        running(served(model)) as behind,
        before(behind.url, rows=1, queue=1) as door,
        door.client() as client,
    ):
        upstream = door.served.upstream
        assert upstream is not None
        gone = threading.Event()

        def listen() -> None:
            with door.client() as own, own.stream("POST", CHAT, json={**body, "stream": True}) as r:
                for _ in r.iter_lines():
                    if gone.is_set():
                        return

        threads = [threading.Thread(target=listen) for _ in range(2)]
        for one in threads:
            one.start()
        until(lambda: (upstream.running, upstream.waiting) == (1, 1))
        refused = client.post(CHAT, json=body)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        gone.set()
        until(lambda: upstream.running == upstream.waiting == 0)
        until(lambda: model.engine.running == 0)
        for one in threads:
            one.join(30)
        assert 'kollama2_running{model=""} 0' in client.get("/metrics").text


@contextmanager
def fake(reply: Callable[[Quiet], None]) -> Iterator[str]:
    class Handler(Quiet):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            reply(self)

        do_GET = do_POST  # noqa: N815

    with faking(Loopback(Handler)) as server:
        yield server.origin


def said(status: int, body: bytes, **headers: str) -> Callable[[Quiet], None]:
    def reply(handler: Quiet) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (500, b"Traceback: secret", 502, "does not answer"),
        (401, b'{"error": {"message": "your key"}}', 502, "does not answer"),
        (302, b"", 502, "does not answer"),
        (400, b"no JSON", 502, "does not answer"),
        (400, b'{"error": {"message": "too long"}}', 400, "too long"),
        (429, b'{"error": {"message": "later"}}', 429, "later"),
        (200, b"no JSON", 502, "no JSON"),
        (200, b"[" * 90_000, 502, "no JSON"),
    ],
)
def test_what_it_does_wrong_is_said(status: int, body: bytes, expected: int, message: str) -> None:
    with fake(said(status, body)) as url, before(url) as door, door.client() as client:
        response = client.post(CHAT, json={"model": "m", "messages": ASKED})
        assert response.status_code == expected
        assert message in response.json()["error"]["message"]
        assert door.served.upstream is not None
        assert door.served.upstream.running == 0
        assert client.get("/v1/models").status_code in (200, 502)


@pytest.mark.parametrize(
    "body",
    [
        b"data: {\n\n", b"data: 7\n\n", b'data: {"choices": 7}\n\n', b'data: {"choices": [7]}\n\n',
        b'data: {"choices": [{"delta": 7}]}\n\n', b'data: {"choices": [{"index": "x"}]}\n\n', b"",
        b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n',
        b'data: {"choices": [{"index": 9, "delta": {"content": "a"}}]}\n\n',
        b'data: {"usage": 7}\n\n', b"x" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_a_judged_stream_that_is_none_is_an_error(body: bytes, stream: bool) -> None:
    guard = Guard([Fake()])
    with fake(said(200, body)) as url, before(url, guard) as door, door.client() as client:
        response = client.post(CHAT, json={"model": "m", "messages": ASKED, "stream": stream})
        assert response.status_code == 502 or '"error"' in response.text, response.text
        assert "Traceback" not in response.text


def test_nobody_is_there() -> None:
    with before("http://127.0.0.1:9") as door, door.client() as client:
        began = time.monotonic()
        response = client.post(CHAT, json={"model": "m", "messages": ASKED})
        assert response.status_code == 502
        assert time.monotonic() - began < 10
        assert client.get("/healthz").status_code == 200


def test_its_key_is_its_own() -> None:
    seen = []

    def reply(handler: Quiet) -> None:
        seen.append(handler.headers["authorization"])
        said(200, b'{"choices": []}')(handler)

    body = {"model": "m", "messages": ASKED}
    headers = {"authorization": "Bearer of the client"}
    with fake(reply) as url:
        for key in (None, "theirs"):
            with before(url, key=key) as door, door.client(headers=headers) as client:
                assert client.post(CHAT, json=body).status_code == 200
    assert seen == [None, "Bearer theirs"]
