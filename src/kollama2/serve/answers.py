"""Answers of an engine on their way to a client: judged where wanted, whole or as a stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kollama2.model.messages import Message
from kollama2.safety.guard import Guard, Unsafe, refusal
from kollama2.serve.calls import calls
from kollama2.serve.engine import Engine
from kollama2.serve.refusal import Refusal
from kollama2.serve.reply import DONE, ChatReply, Choice, event, usage
from kollama2.serve.row import End, Event, Failed, Job, Piece
from kollama2.serve.upstream import Passed

Make = Callable[[Callable[[Event], None]], Job]
Sent = AsyncIterator[tuple[int, Event]]


class Answers:
    """The texts of one request, as they are written.

    Args:
        engine: who writes.
        makes: of each text, its job for a listener.

    Raises:
        engine.Full: too many wait.
    """

    def __init__(self, engine: Engine, makes: Sequence[Make]) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._jobs = [make(partial(self._hear, index)) for index, make in enumerate(makes)]
        engine.submit(self._jobs)

    def _hear(self, index: int, said: Event) -> None:
        """Take in what the engine's thread says."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, (index, said))

    def leave(self, index: int | None = None) -> None:
        """Nobody waits for a text, or for any, any more."""
        for job in self._jobs if index is None else [self._jobs[index]]:
            job.gone = True

    async def events(self, count: int) -> Sent:
        """What happens to the texts, until all of them have ended."""
        left = count
        while left:
            index, said = await self._events.get()
            left -= not isinstance(said, Piece)
            yield index, said


async def judge(guard: Guard, dialog: Sequence[Message]) -> bool:
    """Whether every message of a dialog is safe; a client may have written any of them."""
    for at, message in enumerate(dialog):
        side: Any = "output" if message["role"] == "assistant" else "input"
        if not (await asyncio.to_thread(guard.judge, dialog[: at + 1], side)).safe:
            return False
    return True


async def screened(
    answers: "Answers | Passed", guard: Guard, dialogs: Sequence[Sequence[Message]]
) -> Sent:
    """The events of texts that are judged before they are given out.

    `dialogs` are what each of them answers.
    """
    held = [guard.held(dialog) for dialog in dialogs]
    counts, shown, over = [0] * len(held), [False] * len(held), set[int]()
    async for index, said in answers.events(len(held)):
        if index in over and not isinstance(said, Failed):
            continue
        try:
            parts = held[index].add(said.text) if isinstance(said, Piece) else held[index].end()
            counts[index] = said.count if isinstance(said, Piece) else counts[index]
            if not isinstance(said, Failed):
                while (part := await asyncio.to_thread(next, parts, None)) is not None:
                    shown[index] = True
                    yield index, Piece(part, counts[index])
            if not isinstance(said, Piece):
                yield index, said
        except Unsafe:
            over.add(index)
            answers.leave(index)
            if not shown[index]:
                yield index, Piece(refused(dialogs[index]), counts[index])
            yield index, End("content_filter", counts[index])
            if len(over) == len(held):
                return


def refused(dialog: Sequence[Message]) -> str:
    """What is said in the place of an unsafe answer, in the language of the question."""
    return refusal(dialog[-1]["content"])


@dataclass
class Told:
    """What a request is told.

    Attributes:
        form: of the reply.
        sent: the events of its texts.
        count: how many texts.
        prompt: returns the tokens of the prompts, when the texts have ended.
        dialogs: what each text answers.
        tools: names of the functions that were offered; answers are then read before they are sent.
        with_usage: whether a stream ends with what it took.
        done: called with the tokens that were read and written, and the seconds until the first.
    """

    form: ChatReply
    sent: Sent
    count: int
    prompt: Callable[[], int]
    dialogs: Sequence[Sequence[Message]]
    tools: set[str]
    with_usage: bool
    done: Callable[[int, int, float], None]
    began: float = field(default_factory=time.monotonic)

    async def whole(self) -> dict[str, Any]:
        """The reply at once.

        Raises:
            Refusal: the model failed, or its turn did not come.
        """
        choices = [Choice() for _ in range(self.count)]
        written = 0
        async for index, said in self._timed():
            one = choices[index]
            if isinstance(said, Piece):
                one.text += said.text
                one.tokens += said.tokens
            elif isinstance(said, End):
                written += said.tokens
                self._finish(one, said, index)
            else:
                raise failed(said)
        self.done(self.prompt(), written, self._first)
        return self.form.whole(choices, usage(self.prompt(), written))

    async def stream(self) -> AsyncIterator[bytes]:
        """The reply as server-sent events.

        Raises:
            Refusal: before the first event, as `whole`.
        """
        choices = [Choice() for _ in range(self.count)]
        written, begun = 0, False
        async for index, said in self._timed():
            if isinstance(said, Failed):
                if not begun:
                    raise failed(said)
                yield event(failed(said).body())
                return
            if not begun:
                begun = True
                for at in range(self.count):
                    for chunk in self.form.opened(at):
                        yield self._event(chunk)
            one = choices[index]
            if isinstance(said, Piece):
                one.text += said.text
                one.tokens += said.tokens
                if not self.tools:
                    yield self._event(self.form.piece(index, said.text, said.tokens))
                continue
            written += said.tokens
            self._finish(one, said, index)
            if self.tools and (one.text or one.tokens):
                yield self._event(self.form.piece(index, one.text, one.tokens))
            if one.calls:
                yield self._event(self.form.called(index, one.calls))
            yield self._event(self.form.ended(index, one.reason))
        self.done(self.prompt(), written, self._first)
        if self.with_usage:
            yield event(self.form.used(usage(self.prompt(), written)))
        yield DONE

    async def _timed(self) -> Sent:
        self._first = 0.0
        async for index, said in self.sent:
            self._first = self._first or time.monotonic() - self.began
            yield index, said

    def _finish(self, one: Choice, said: End, index: int) -> None:
        one.reason = said.reason
        if said.reason == "content_filter":
            one.text = refused(self.dialogs[index])
        elif self.tools:
            one.text, one.calls = calls(one.text, self.tools)
            one.reason = "tool_calls" if one.calls else one.reason

    def _event(self, chunk: dict[str, Any]) -> bytes:
        return event({**chunk, "usage": None} if self.with_usage else chunk)


def failed(said: Failed) -> Refusal:
    """How a client learns that there is no answer."""
    if said.late:
        return Refusal(503, f"{said.why}; try again", None, "overloaded", wait=1)
    if said.upstream:
        return Refusal(502, said.why, None, "upstream")
    return Refusal(500, said.why, None, "model_failed")
