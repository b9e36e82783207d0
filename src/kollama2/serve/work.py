"""From the body of a request to its reply."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from fastapi.responses import JSONResponse, Response, StreamingResponse

from kollama2.model.messages import Message, contents
from kollama2.serve.answers import Answers, Told, judge, refused, screened
from kollama2.serve.ask import Chat, Completion, Moderation, read
from kollama2.serve.engine import Full
from kollama2.serve.model import Model
from kollama2.serve.refusal import Refusal, overloaded
from kollama2.serve.reply import ChatReply, Choice, TextReply
from kollama2.serve.row import End, Job, Piece
from kollama2.serve.served import Served
from kollama2.serve.upstream import Upstream


async def chat(served: Served, body: bytes) -> Response:
    """The reply to `/v1/chat/completions`; raises `Refusal`."""
    ask = await served.encoded(partial(read, Chat, body))
    served.check(ask.model)
    dialog, tools = ask.dialog(), ask.offered()
    form, times = ChatReply(ask.model, ask.top is not None), ask.n or 1
    shown = [_judged(one) for one in dialog]
    if tools:
        shown.insert(0, {"role": "system", "content": json.dumps(tools, ensure_ascii=False)})
    if await _unsafe(served, [shown]):
        return await _blocked(form, ask, [Choice(refused(dialog))] * times)
    if served.upstream is not None:
        return await _passed(served.upstream, served, ask, form, [dialog] * times)
    model = served.models[ask.model]
    ids = await served.encoded(partial(model.chat_ids, dialog, tools))
    names = {tool["function"]["name"] for tool in tools}
    return await _answer(
        served, model, ask, form, [ids] * times, [dialog] * times, len(ids), names
    )  # fmt: skip


def _judged(message: Message) -> Message:
    """A message with all that it says as its content."""
    return {"role": message["role"], "content": "\n".join(contents([message]))}


async def complete(served: Served, body: bytes) -> Response:
    """The reply to `/v1/completions`; raises `Refusal`."""
    ask = await served.encoded(partial(read, Completion, body))
    served.check(ask.model)
    prompts, times = ask.prompts(), ask.n or 1
    form = TextReply(ask.model, ask.logprobs is not None)
    texts = [served.text(ask.model, one) for one in prompts]
    asked: list[list[Message]] = [[{"role": "user", "content": text}] for text in texts]
    dialogs = [one for one in asked for _ in range(times)]
    if await _unsafe(served, asked):
        return await _blocked(form, ask, [Choice(refused(one)) for one in dialogs])
    if served.upstream is not None:
        return await _passed(served.upstream, served, ask, form, dialogs)
    model = served.models[ask.model]
    found = await served.encoded(lambda: [model.text_ids(one) for one in prompts])
    ids = [one for one in found for _ in range(times)]
    return await _answer(served, model, ask, form, ids, dialogs, sum(map(len, found)), set())


async def _unsafe(served: Served, dialogs: Sequence[Sequence[Message]]) -> bool:
    """Whether a guard finds something unsafe in what is asked."""
    if served.guard is None:
        return False
    return not all([await judge(served.guard, dialog) for dialog in dialogs])


async def _answer(
    served: Served,
    model: Model,
    ask: Chat | Completion,
    form: ChatReply,
    ids: Sequence[list[int]],
    dialogs: Sequence[Sequence[Message]],
    prompt: int,
    names: set[str],
) -> Response:
    """Have texts written and give them out."""
    _possible(served, model, ask, len(ids))
    makes = [_maker(served, model, ask, one, number) for number, one in enumerate(ids)]
    try:
        answers = Answers(model.engine, makes)
    except Full as error:
        raise overloaded() from error
    sent = answers.events(len(ids))
    if served.guard is not None:
        sent = screened(answers, served.guard, dialogs)
    done = partial(served.count, model.name)
    told = Told(
        form, sent, len(ids), lambda: prompt, dialogs, names, ask.usage_streamed, done
    )  # fmt: skip
    return await _given(told, bool(ask.stream), answers.leave)


async def _passed(
    upstream: Upstream,
    served: Served,
    ask: Chat | Completion,
    form: ChatReply,
    dialogs: Sequence[Sequence[Message]],
) -> Response:
    """Pass a request on, and the reply back; what has to be judged is asked for as a stream."""
    path = "chat/completions" if isinstance(ask, Chat) else "completions"
    body = ask.model_dump(mode="json", exclude_unset=True)
    if served.guard is None:
        passed = await upstream.ask(path, body)
        if not ask.stream:
            try:
                return JSONResponse(await passed.whole())
            finally:
                passed.leave()
        return _Stream(passed.bytes(), passed.leave)
    if "logprobs" in body or "tools" in body:
        raise Refusal(400, "logprobs, tools: none are given of answers that are judged; leave them "
                      "out", "tools", "unsupported_value")  # fmt: skip
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    passed = await upstream.ask(path, body)
    sent = screened(passed, served.guard, dialogs)
    done = partial(served.count, ask.model)
    told = Told(
        form, sent, len(dialogs), lambda: passed.prompt, dialogs, set(), ask.usage_streamed, done
    )  # fmt: skip
    return await _given(told, bool(ask.stream), passed.leave)


def _maker(
    served: Served, model: Model, ask: Chat | Completion, ids: list[int], number: int
) -> Callable[[Any], Job]:
    return partial(
        Job,
        ids,
        model.room(ids, ask.most),
        temperature=1.0 if ask.temperature is None else ask.temperature,
        top_p=1.0 if ask.top_p is None else ask.top_p,
        seed=None if ask.seed is None else ask.seed + number,
        stops=ask.stops,
        top=ask.top if isinstance(ask, Chat) else ask.logprobs,
        before=() if isinstance(ask, Chat) else ids,
        until=time.monotonic() + served.seconds,
        adapter=model.adapter,
    )


def _possible(served: Served, model: Model, ask: Chat | Completion, texts: int) -> None:
    """Refuse what would never be written.

    Raises:
        Refusal: more texts than may ever wait, or log-probabilities that cannot be given.
    """
    if texts > model.engine.most:
        raise Refusal(400, f"n: {texts} texts at once, and {model.engine.most} may wait here; ask "
                      "for fewer", "n", "invalid_value")  # fmt: skip
    wanted = ask.logprobs not in (None, False)
    if wanted and (not model.engine.batched or served.guard is not None):
        why = "of answers that are judged" if served.guard else "by models of this family"
        raise Refusal(400, f"logprobs: none are given {why}; leave it out", "logprobs",
                      "unsupported_value")  # fmt: skip


async def _blocked(form: ChatReply, ask: Chat | Completion, choices: list[Choice]) -> Response:
    """The reply to an unsafe prompt, in the form that was asked for."""

    async def sent() -> AsyncIterator[Any]:
        for index, one in enumerate(choices):
            yield index, Piece(one.text, 0)
            yield index, End("content_filter", 0)

    dialogs: list[list[Message]] = [[{"role": "user", "content": one.text}] for one in choices]
    told = Told(
        form, sent(), len(choices), lambda: 0, dialogs, set(), ask.usage_streamed, _unheard
    )  # fmt: skip
    return await _given(told, bool(ask.stream), lambda: None)


def _unheard(read: int, written: int, first: float) -> None:
    """Nothing was read or written."""


async def _given(told: Told, streamed: bool, leave: Callable[[], None]) -> Response:
    """A reply, whole or as a stream whose first event is there; `leave` is called at its end."""
    try:
        if not streamed:
            whole = JSONResponse(await told.whole())
            leave()
            return whole
        events = told.stream()
        first = await anext(events)
    except BaseException:
        leave()
        raise

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for one in events:
            yield one

    return _Stream(all_of_them(), leave)


class _Stream(StreamingResponse):
    """Server-sent events; whoever listens may go at any time."""

    def __init__(self, events: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        self._leave = leave
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def moderate(served: Served, body: bytes) -> Response:
    """The reply to `/v1/moderations`; raises `Refusal`."""
    ask = read(Moderation, body)
    results = []
    for text in ask.texts():
        dialog: list[Message] = [{"role": "user", "content": text}]
        found = await asyncio.to_thread(served.moderator.judge, dialog, "input")
        results.append(
            {
                "flagged": not found.safe,
                "categories": {"hate": not found.safe},
                "category_scores": {"hate": found.score},
                "reason": found.reason,
            }
        )
    by = ", ".join(one.name for one in served.moderator.classifiers)
    return JSONResponse({"id": "modr-0", "model": by, "results": results})
