"""Full queues, clients that go or never read, time that is over, and an orderly end."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from kollama2 import web
from kollama2.errors import BadUsage
from kollama2.serve.start import Options, named, start
from tests.loopback import started
from tests.serve.conftest import Running, load, running, served, slow, until

PATH = "/v1/completions"
LONG = {"model": "tiny", "prompt": "The fox", "max_tokens": 400, "temperature": 1.5, "seed": 3}


class Stream:
    """A client that listens to a long text until it is closed."""

    def __init__(self, server: Running) -> None:
        self.lines: list[str] = []
        self._client = server.client()
        self._go = threading.Event()
        self.status = 0
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        body = {**LONG, "stream": True}
        with self._client as client, client.stream("POST", PATH, json=body) as response:
            self.status = response.status_code
            for line in response.iter_lines():
                self.lines.append(line)
                if self._go.is_set():
                    return

    def close(self) -> None:
        self._go.set()

    def join(self) -> None:
        self._thread.join(30)


def test_a_full_queue_says_so_at_once_and_empties_when_clients_go(slow_server: Running) -> None:
    engine = slow_server.model.engine
    streams = [Stream(slow_server) for _ in range(4)]
    until(lambda: (engine.running, engine.waiting) == (2, 2))
    waits = []
    with slow_server.client() as client:
        for _ in range(5):
            began = time.monotonic()
            response = client.post(PATH, json=LONG)
            waits.append(time.monotonic() - began)
            assert response.status_code == 429
            assert response.headers["retry-after"] == "1"
            assert response.json()["error"]["code"] == "queue_full"
        assert min(waits) < 0.1
        for one in streams:
            one.close()
        until(lambda: engine.running == engine.waiting == 0)
        assert client.post(PATH, json={**LONG, "max_tokens": 2}).status_code == 200
        until(lambda: engine.running == 0)  # the last event comes before the row is free
        told = client.get("/metrics").text
    assert 'kollama2_requests_total{path="/v1/completions",status="429"} 5' in told
    assert 'kollama2_running{model="tiny"} 0' in told
    for one in streams:
        one.join()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_ends_its_work(slow_server: Running, stream: bool) -> None:
    engine = slow_server.model.engine
    body = json.dumps({**LONG, "stream": stream, "n": 3}).encode()
    url = httpx.URL(slow_server.url)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=20) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: (engine.running, engine.waiting) == (2, 1))
    began = time.monotonic()
    until(lambda: engine.running == engine.waiting == 0)
    assert time.monotonic() - began < 4, "a text takes eight seconds"


def test_a_client_that_does_not_read_is_closed(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SECONDS", 1.0)
    with running(served(slow(load(tiny_model), 0.02))) as server:
        engine = server.model.engine
        body = json.dumps({**LONG, "stream": True, "n": 4, "logprobs": 5, "max_tokens": 400})
        url = httpx.URL(server.url)
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((url.host, url.port or 0))
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            until(lambda: engine.running == 4)
            began = time.monotonic()
            until(lambda: engine.running == 0)
            assert time.monotonic() - began < 7, "the texts take eight seconds"


def test_a_request_that_takes_too_long_ends_with_what_there_is(tiny_model: Path) -> None:
    model = slow(load(tiny_model, rows=1, queue=2), 0.05)
    with running(served(model, seconds=1.0)) as server, server.client() as client:
        first = threading.Thread(target=lambda: client.post(PATH, json=LONG))
        first.start()
        until(lambda: model.engine.running == 1)
        late = client.post(PATH, json=LONG)
        # It waits for the first one's second and has none of its own left.
        assert late.status_code in (200, 503)
        first.join()
        found = client.post(PATH, json=LONG).json()
        assert found["choices"][0]["finish_reason"] == "length"
        assert 0 < found["usage"]["completion_tokens"] < 60


def begin(model: Path, *options: str) -> "tuple[subprocess.Popen[str], str]":
    process, address = started("serve", f"tiny={model}", *options)
    return process, address.removesuffix("/v1")


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_sigterm_lets_running_answers_end(tiny_model: Path) -> None:
    process, url = begin(tiny_model, "--host", "0.0.0.0", "--token", "0123456789abcdef")
    known = {"authorization": "Bearer 0123456789abcdef"}
    assert httpx.get(f"{url}/v1/models").status_code == 401
    body = {**LONG, "n": 8, "stream": True}
    lines = []
    with httpx.stream("POST", f"{url}{PATH}", json=body, headers=known, timeout=60) as response:
        for line in response.iter_lines():
            if not lines:
                process.send_signal(signal.SIGTERM)
            lines.append(line)
    assert lines[-2] == "data: [DONE]"
    assert end(process) == (0, "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


@pytest.mark.slow
def test_the_end_has_a_bound(tiny_model: Path) -> None:
    here = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"  # macOS has no other
    process, url = begin(tiny_model, "--drain", "0", "--host", here)
    assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    found = httpx.URL(url)
    body = json.dumps({**LONG, "n": 16}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((found.host, found.port or 0), timeout=20) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert end(process) == (0, "")
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        (["a"], {"host": "0.0.0.0"}, "other machines reach 0.0.0.0; give --token"),
        (["a"], {"host": "::"}, "other machines reach ::; give --token"),
        (["a"], {"token": "short"}, "the token has fewer than 16 characters"),
        (["a=b", "c/a"], {}, "two models are called a; give one of them as NAME=MODEL"),
        (["=b"], {}, "names no model"),
        ([], {}, "nothing is to be served"),
        ([], {"upstream": "localhost:1"}, "is no address of a server"),
        (["a"], {"host": "203.0.113.7", "token": "0123456789abcdef"}, "nothing can listen on"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    models: list[str], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadUsage, match=re.escape(said)):
        start(models, Options(**options), print)


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("runs/a.gguf", "a", "runs/a.gguf"),
        ("hf:owner/name", "owner/name", "hf:owner/name"),
        ("builtin:miniature", "builtin:miniature", "builtin:miniature"),
        ("mine=hf:owner/name", "mine", "hf:owner/name"),
        ("a/b=c", "b=c", "a/b=c"),
        (".", Path.cwd().name, "."),
    ],
)
def test_a_model_has_a_name(text: str, name: str, place: str) -> None:
    assert named(text) == (name, place)
