"""Real servers on loopback, in a thread each."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from kollama2.safety.embedded import Embedded
from kollama2.safety.guard import Guard
from kollama2.serve.app import create
from kollama2.serve.model import Model, open_model
from kollama2.serve.row import Job, Row
from kollama2.serve.served import Served
from kollama2.serve.start import Options
from kollama2.web import LOOPBACK, listen, run


@dataclass
class Running:
    """A server that runs; `url` is its address without a path."""

    url: str
    served: Served

    @property
    def model(self) -> Model:
        return next(iter(self.served.models.values()))

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextmanager
def running(served: Served, token: str | None = None) -> Iterator[Running]:
    made: list[uvicorn.Server] = []

    def make(config: uvicorn.Config) -> uvicorn.Server:
        made.append(uvicorn.Server(config))
        return made[0]

    with listen("127.0.0.1", 0) as listening:
        # Connections inherit it; a client that does not read is then seen before a megabyte.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = create(served, None if token else LOOPBACK, token)
        thread = threading.Thread(target=run, args=(app, listening, 5, make))
        thread.start()
        try:
            yield Running(url, served)
        finally:
            made[0].should_exit = True
            thread.join(30)
            assert not thread.is_alive()
            assert not any(model.engine.alive for model in served.models.values())


def load(folder: Path, name: str = "tiny", **options: int) -> Model:
    settings = Options(**{"rows": 4, "queue": 4, "most": 400, **options})  # type: ignore[arg-type]
    return open_model(name, str(folder), settings, tell=print)


def served(*models: Model, guard: Guard | None = None, seconds: float = 60.0) -> Served:
    moderator = guard or Guard([Embedded()])
    return Served({one.name: one for one in models}, moderator, guard, seconds)


def slow(model: Model, seconds: float = 0.02) -> Model:
    """The same model, which takes its time for each step."""
    decoder = model.talker.decoder  # type: ignore[attr-defined]
    step = decoder.step

    def stepped(*given: Any) -> Any:
        time.sleep(seconds)
        return step(*given)

    decoder.step = stepped
    return model


def scripted(model: Model, said: str) -> list[Job]:
    """Let a model say one text to everybody; returns the jobs that it gets from now on."""
    encoder, given = model.talker.encoder, list[Job]()

    def submit(jobs: Sequence[Job]) -> None:
        given.extend(jobs)
        for job in jobs:
            row = Row(job, encoder.tokenizer, encoder.stop_ids)
            for token in encoder.tokenizer.encode(said):
                row.add(token)
            row.end("stop")

    model.engine.submit = submit  # type: ignore[method-assign]
    return given


def until(true: Any, seconds: float = 20.0) -> None:
    """Wait for something that has to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Running]:
    with running(served(load(tiny_model))) as found:
        yield found


@pytest.fixture
def slow_server(tiny_model: Path) -> Iterator[Running]:
    with running(served(slow(load(tiny_model, rows=2, queue=2)))) as found:
        yield found
