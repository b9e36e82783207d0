"""A fake OpenAI-compatible server on loopback that answers as a test says."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.loopback import Loopback, Quiet, running

Answer = Callable[[dict[str, Any]], tuple[int, Any]]


class Server(Loopback):
    """Keeps every request that it got: the body and the headers."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(_Handler)
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"


class _Handler(Quiet):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append({**body, "path": self.path})
        self.server.headers.append({k.lower(): v for k, v in self.headers.items()})
        status, found = self.server.answer(body)
        data = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(data)


def said(text: str | None, reason: str = "stop") -> tuple[int, Any]:
    """A chat completion."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return 200, {"choices": [choice], "usage": {"completion_tokens": 3}}


def serving(answer: Answer) -> AbstractContextManager[Server]:
    return running(Server(answer))
