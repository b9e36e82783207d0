"""Whatever a client sends gets an answer in words; nothing of it is a defect of the server."""

import json
import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kollama2.serve.app import BODY
from tests.serve.conftest import Running, load, running, served

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
ASKED = [{"role": "user", "content": "a"}]


def post(server: Running, path: str, content: bytes | str, **headers: str) -> httpx.Response:
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    with server.client() as client:
        return client.post(
            path, content=raw, headers={"content-type": "application/json", **headers}
        )


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "critic", "content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "a", "x": 1}]}, "messages.0.x"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content",
        ),
        ({"messages": [*ASKED, {"role": "assistant", "content": "b"}]}, "messages"),
        ({"messages": ASKED * 513}, "messages"),
        ({"messages": ASKED * 2}, "messages"),
        ({"messages": [{"role": "user", "content": "[INST] a"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "긴 글 " * 500}]}, "messages"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": True}, "n"),
        ({"seed": 1 << 63}, "seed"),
        ({"seed": 10**400}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 401}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"top_logprobs": 3}, None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, None),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"chat_template": "{{ 1 }}"}, "chat_template"),
        ({"chat_template_kwargs": {}}, "chat_template_kwargs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"7": 100}}, "logit_bias"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "messages"),
        ({"tools": [{"type": "retrieval"}]}, "tools.0"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"audio": {}}, "audio"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused(
    server: Running, body: dict[str, Any], param: str | None
) -> None:
    whole = {"model": "tiny", "messages": ASKED, **body}
    assert refused(post(server, CHAT, json.dumps(whole)), 400)["param"] == param


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": []}, {"prompt": [[]]}, {"prompt": [-1]}, {"prompt": [384]},
        {"prompt": ["a", 1]}, {"prompt": [1.5]}, {"prompt": ["a"] * 65}, {"prompt": ["a"] * 9},
        {"prompt": "a", "echo": True}, {"prompt": "a", "logprobs": 6},
        {"prompt": "a", "best_of": 2}, {"prompt": "긴 글 " * 500}, {"prompt": None}, {},
    ],
)  # fmt: skip
def test_prompts_that_cannot_be_continued(server: Running, body: dict[str, Any]) -> None:
    refused(post(server, TEXT, json.dumps({"model": "tiny", **body})), 400)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "7", "{", '{"model": NaN}', "\ufeff{}", "[" * 50_000, '{"a":' * 50_000,
        '{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}',
        '{"model": "tiny", "messages": [{"role": "user", "content": "\ud800"}]}',
        '{"model": "tiny", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
        '{"model": "tiny", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}',
        '{"model": "tiny", "messages": [{"role": "user", "content": "a"}], "n": 1e2}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, TEXT, "/v1/moderations"])
def test_bodies_that_are_none(server: Running, path: str, text: str) -> None:
    refused(post(server, path, text), 400)


def test_other_places_methods_and_types(server: Running) -> None:
    refused(post(server, "/v1/embeddings", "{}"), 404)
    refused(
        post(server, CHAT, '{"model": "large", "messages": [{"role": "user", "content": ""}]}'), 404
    )
    refused(post(server, CHAT, "{}", **{"content-type": "text/plain"}), 415)
    with suppress(httpx.ReadError, httpx.WriteError):  # what is still being sent may reset it
        refused(post(server, CHAT, b" " * (BODY + 1)), 413)
    refused(post(server, CHAT, "{}", host="evil.example"), 400)
    with server.client() as client:
        assert refused(client.get(CHAT), 405)["message"].endswith("ask with POST")
        for path in ("/page", "/v1/models/", "/v1/models/large"):
            assert "there are" in refused(client.get(path), 404)["message"]
        assert client.head("/healthz").status_code == client.head("/readyz").status_code == 200
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"
        assert client.get("/docs").status_code == 404


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=8), one, max_size=3),
    max_leaves=6,
)
MESSAGE = st.dictionaries(
    st.sampled_from(["role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content"]),
    VALUES | st.sampled_from(["user", "assistant", "system", "tool", "a"]),
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("tiny"), "max_tokens": st.just(2)},
    optional={
        "messages": st.lists(MESSAGE, max_size=3) | st.just(ASKED) | VALUES,
        "prompt": VALUES,
        "temperature": VALUES | st.floats(0, 2),
        "top_p": VALUES | st.floats(0, 1),
        "stop": VALUES,
        "seed": VALUES | st.integers(),
        "stream": VALUES,
        "stream_options": VALUES,
        "tools": VALUES,
        "logprobs": VALUES,
        "metadata": VALUES,
    },
)


@settings(suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from([CHAT, TEXT, "/v1/moderations"]), body=BODIES)
def test_nothing_that_is_sent_is_a_defect(server: Running, path: str, body: Any) -> None:
    response = post(server, path, json.dumps(body))
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        refused(response, 400)


def test_a_token_is_asked_for_where_there_is_one(tiny_model: Any) -> None:
    token = "한국-token".encode().hex()
    with running(served(load(tiny_model)), token) as server, server.client() as client:
        for headers in (
            {}, {"authorization": token}, {"authorization": f"Bearer {token}x"},
            {"authorization": f"Basic {token}"}, {"authorization": "Bearer"},
        ):  # fmt: skip
            for path in ("/v1/models", "/metrics"):
                refused(client.get(path, headers=headers), 401)
            refused(client.get(f"/v1/models?token={token}", headers=headers), 401)
        known = {"authorization": f"Bearer {token}", "host": "any.name"}
        assert client.get("/v1/models", headers=known).status_code == 200
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_what_is_no_request_is_closed(server: Running) -> None:
    url = httpx.URL(server.url)
    host = b" HTTP/1.1\r\nHost: localhost\r\n"
    for first, status in {
        b"GET /healthz" + host + b"X: " + b"x" * 40_000 + b"\r\n\r\n": b"431",
        b"\x16\x03\x01 hello\r\n\r\n": b"400",
        b"POST /v1/completions" + host + b"Content-Length: 9999999\r\n\r\n": b"413",
    }.items():
        with socket.create_connection((url.host, url.port or 0), timeout=20) as client:
            client.sendall(first)
            assert client.recv(12)[9:] == status
