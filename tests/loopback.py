"""Servers on loopback that stop by themselves: what the fakes of tests have in common."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Quiet(BaseHTTPRequestHandler):
    """Tells nobody what it answers."""

    def log_message(self, *_: Any) -> None: ...


class Loopback(ThreadingHTTPServer):
    """A server on a free port."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are expected."""


Some = TypeVar("Some", bound=Loopback)


@contextmanager
def running(server: Some) -> Iterator[Some]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def started(*command: str) -> "tuple[subprocess.Popen[str], str]":
    """A command that serves on a free port, and the address that it tells."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kollama2", *command, "--port", "0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise AssertionError(f"it ended with {process.wait()}")
