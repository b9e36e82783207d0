"""What a server has: models at hand or another server, who judges, what is counted."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from kollama2.llama.generation import BASE
from kollama2.safety.guard import Guard
from kollama2.serve.metrics import Metrics
from kollama2.serve.model import Model
from kollama2.serve.refusal import Refusal, overloaded, unknown
from kollama2.serve.upstream import Upstream

T = TypeVar("T")


@dataclass
class Served:
    """What a server has.

    Attributes:
        models: by their names; none where another server answers.
        moderator: judges `/v1/moderations`.
        guard: judges prompts and answers; None where nobody asked for it.
        seconds: for one request.
        upstream: another server that answers.
    """

    models: dict[str, Model]
    moderator: Guard
    guard: Guard | None = None
    seconds: float = 600.0
    upstream: Upstream | None = None
    metrics: Metrics = field(default_factory=Metrics)
    # Writing a chat out is the client's work done here; two threads are all that clients get.
    encoding: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "encoding"), repr=False
    )

    @property
    def full(self) -> bool:
        """Whether no model has room for a request, so that none needs to be read."""
        return bool(self.models) and all(one.engine.full for one in self.models.values())

    def check(self, name: str) -> None:
        """Refuse a model that there is not, or that has no room for a request.

        Raises:
            Refusal: one of these.
        """
        if self.upstream is not None:
            self.upstream.check(name)
            return
        if name not in self.models:
            raise unknown(self.models)
        if self.models[name].engine.full:
            raise overloaded()

    def text(self, name: str, prompt: str | list[int]) -> str:
        """A prompt as a text, for those who judge it.

        Raises:
            Refusal: it is ids of a model elsewhere.
        """
        if isinstance(prompt, str):
            return prompt
        if self.upstream is None:
            return self.models[name].text_of(prompt)
        if self.guard is not None:
            raise Refusal(400, "prompt: ids cannot be judged; give a text", "prompt", "unsupported")
        return ""

    def count(self, name: str, read: int, written: int, first: float) -> None:
        """Count the tokens of an answer, and the seconds until its first."""
        self.metrics.add("kollama2_tokens_total", read, model=name, kind="prompt")
        self.metrics.add("kollama2_tokens_total", written, model=name, kind="completion")
        self.metrics.add("kollama2_first_token_seconds_sum", first, model=name)
        self.metrics.add("kollama2_first_token_seconds_count", 1, model=name)

    def gauges(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """How many texts are being written and wait."""
        for name, model in self.models.items():
            if model.adapter != BASE:
                continue  # it has the rows of its base
            yield "kollama2_running", {"model": name}, model.engine.running
            yield "kollama2_waiting", {"model": name}, model.engine.waiting
        if self.upstream is not None:
            yield "kollama2_running", {"model": ""}, self.upstream.running
            yield "kollama2_waiting", {"model": ""}, self.upstream.waiting

    async def encoded(self, work: Callable[[], T]) -> T:
        """Do work with texts beside the event loop.

        Raises:
            Refusal: it takes too long.
        """
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.run_in_executor(self.encoding, work), self.seconds)
        except asyncio.TimeoutError as error:
            raise Refusal(503, "the request could not be read in time", None, "overloaded",
                          wait=1) from error  # fmt: skip

    def close(self) -> None:
        """End every engine."""
        self.encoding.shutdown(wait=False, cancel_futures=True)
        for model in self.models.values():
            model.engine.close()
