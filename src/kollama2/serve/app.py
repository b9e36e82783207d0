"""The application: OpenAI's paths, and those by which a server is watched."""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from kollama2.model.messages import Message, contents
from kollama2.safety.guard import Guard
from kollama2.serve.answers import Answers, Told, judge, refused, screened
from kollama2.serve.ask import Chat, Completion, Moderation, read
from kollama2.serve.engine import Full
from kollama2.serve.metrics import Metrics
from kollama2.serve.model import Model
from kollama2.serve.refusal import Refusal
from kollama2.serve.reply import ChatReply, Choice, TextReply
from kollama2.serve.row import End, Job, Piece
from kollama2.web import LOOPBACK, Gate

T = TypeVar("T")
BODY = 1 << 20  # bytes of a request
_PATHS = ("/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/moderations")
_OPEN = ("/healthz", "/readyz")  # asked by programs that know no token


@dataclass
class Served:
    """What a server has.

    Attributes:
        models: by their names.
        moderator: judges `/v1/moderations`.
        guard: judges prompts and answers; None where nobody asked for it.
        seconds: for one request.
    """

    models: dict[str, Model]
    moderator: Guard
    guard: Guard | None = None
    seconds: float = 600.0
    metrics: Metrics = field(default_factory=Metrics)
    # Writing a chat out is the client's work done here; two threads are all that clients get.
    encoding: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "encoding"), repr=False
    )

    def model(self, name: str) -> Model:
        """The model of a name that has room for a request.

        Raises:
            Refusal: there is none, or no room.
        """
        if name not in self.models:
            known = ", ".join(self.models)
            raise Refusal(404, f"model: there is no such model; there are {known}", "model",
                          "model_not_found")  # fmt: skip
        if self.models[name].engine.full:
            raise overloaded()
        return self.models[name]

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


def overloaded() -> Refusal:
    """The refusal where too many wait."""
    return Refusal(429, "too many requests wait; try again later", None, "queue_full", wait=1)


class Door(Gate):
    """The gate of this server: tokens as OpenAI's clients send them, refusals as they read them."""

    denied = (401, "the header Authorization: Bearer TOKEN is missing or wrong")

    def given(self, scope: Any, headers: dict[str, str]) -> str:
        """The token of a request; `/healthz` and `/readyz` need none."""
        if scope["path"] in _OPEN and self._token is not None:
            return self._token
        kind, _, token = headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else ""

    def told(self, status: int, why: str) -> tuple[str, str]:
        """The error object of a refusal."""
        return "application/json", json.dumps(Refusal(status, why).body())


def create(
    served: Served, hosts: tuple[str, ...] | None = LOOPBACK, token: str | None = None
) -> Any:
    """The web application; `hosts` and `token` as in `web.Gate`."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(served.close)

    app = FastAPI(
        title="kollama2 serve", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life
    )
    app.add_middleware(Door, hosts=hosts, token=token, body=BODY)
    _watched(app, served)
    _asked(app, served)
    _refused(app)
    return _Counted(app, served.metrics)


class _Counted:
    """Middleware around everything that counts replies by path and status."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"] if scope["path"] in _PATHS else "other"
                status = str(message["status"])
                self._metrics.add("kollama2_requests_total", path=path, status=status)
            await send(message)

        await self._app(scope, receive, counted)


def _watched(app: FastAPI, served: Served) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        dead = [name for name, model in served.models.items() if not model.engine.alive]
        if dead:
            return PlainTextResponse(f"not ready: {', '.join(dead)}\n", 503)
        return PlainTextResponse("ready\n")

    @app.get("/metrics")
    async def metrics() -> Response:
        gauges = [
            (f"kollama2_{what}", {"model": name}, float(getattr(model.engine, what)))
            for what in ("running", "waiting")
            for name, model in served.models.items()
        ]
        return PlainTextResponse(
            served.metrics.text(gauges), media_type="text/plain; version=0.0.4"
        )

    started = int(time.time())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        found = [
            {"id": name, "object": "model", "created": started, "owned_by": "kollama2"}
            for name in served.models
        ]
        return {"object": "list", "data": found}


def _asked(app: FastAPI, served: Served) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _unless_gone(request, _chat(served, await _body(request)))

    @app.post("/v1/completions")
    async def completion(request: Request) -> Response:
        return await _unless_gone(request, _complete(served, await _body(request)))

    @app.post("/v1/moderations")
    async def moderation(request: Request) -> Response:
        return await _unless_gone(request, _moderate(served, await _body(request)))


def _refused(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Any) -> Response:
        return JSONResponse(error.body(), error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: Any) -> Response:
        return JSONResponse(
            Refusal(error.status_code, str(error.detail)).body(), error.status_code, error.headers
        )

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        traceback.print_exception(error, file=sys.stderr)
        return JSONResponse(Refusal(500, "a defect of the server", code="defect").body(), 500)


async def _body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        Refusal: it is not said to be JSON, so that a page elsewhere might have sent it unasked.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the content type has to be application/json", None, "content_type")
    return await request.body()


async def _unless_gone(request: Request, work: Awaitable[Response]) -> Response:
    """A response, the work on which ends where its client goes."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return Response(status_code=499)  # nobody reads it
    finally:
        for task in (working, leaving):
            task.cancel()
        with suppress(asyncio.CancelledError, Refusal):
            await working


async def _chat(served: Served, body: bytes) -> Response:
    ask = await served.encoded(partial(read, Chat, body))
    model = served.model(ask.model)
    dialog, tools = ask.dialog(), ask.offered()
    ids = await served.encoded(partial(model.chat_ids, dialog, tools))
    form = ChatReply(ask.model, ask.top is not None)
    if served.guard is not None:
        shown = [_judged(one) for one in dialog]
        shown[:0] = [{"role": "system", "content": json.dumps(tools, ensure_ascii=False)}] * bool(
            tools
        )
        if not await judge(served.guard, shown):
            blocked = Choice(refused(dialog), reason="content_filter")
            return await _blocked(form, ask, [blocked] * (ask.n or 1), len(ids))
    names = {tool["function"]["name"] for tool in tools}
    return await _answer(served, model, ask, form, [ids] * (ask.n or 1), [dialog] * (ask.n or 1),
                         len(ids), names)  # fmt: skip


def _judged(message: Message) -> Message:
    """A message with all that it says as its content."""
    return {"role": message["role"], "content": "\n".join(contents([message]))}


async def _complete(served: Served, body: bytes) -> Response:
    ask = await served.encoded(partial(read, Completion, body))
    model = served.model(ask.model)
    prompts = ask.prompts()
    found = await served.encoded(lambda: [model.text_ids(one) for one in prompts])
    count = sum(map(len, found))
    form = TextReply(ask.model, ask.logprobs is not None)
    times = ask.n or 1
    decode = model.talker.encoder.tokenizer.decode
    texts = [one if isinstance(one, str) else decode(one) for one in prompts]
    dialogs: list[list[Message]] = [
        [{"role": "user", "content": text}] for text in texts for _ in range(times)
    ]
    if served.guard is not None:
        safe = [await judge(served.guard, dialog) for dialog in dialogs[::times]]
        if not all(safe):
            blocked = [Choice(refused(one), reason="content_filter") for one in dialogs]
            return await _blocked(form, ask, blocked, count)
    ids = [one for one in found for _ in range(times)]
    return await _answer(served, model, ask, form, ids, dialogs, count, set())


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

    def done(written: int, first: float) -> None:
        metrics = served.metrics
        metrics.add("kollama2_tokens_total", prompt, model=model.name, kind="prompt")
        metrics.add("kollama2_tokens_total", written, model=model.name, kind="completion")
        metrics.add("kollama2_first_token_seconds_sum", first, model=model.name)
        metrics.add("kollama2_first_token_seconds_count", 1, model=model.name)

    sent = answers.events()
    if served.guard is not None:
        sent = screened(answers, served.guard, dialogs)
    told = Told(form, sent, len(ids), prompt, dialogs, names, ask.usage_streamed, done)
    return await _given(told, bool(ask.stream), answers.leave)


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


async def _blocked(
    form: ChatReply, ask: Chat | Completion, choices: list[Choice], prompt: int
) -> Response:
    """The reply to an unsafe prompt, in the form that was asked for."""

    async def sent() -> AsyncIterator[Any]:
        for index, one in enumerate(choices):
            yield index, Piece(one.text, 0)
            yield index, End("content_filter", 0)

    dialogs: list[list[Message]] = [[{"role": "user", "content": one.text}] for one in choices]
    told = Told(form, sent(), len(choices), prompt, dialogs, set(), ask.usage_streamed, _unheard)
    return await _given(told, bool(ask.stream), lambda: None)


def _unheard(written: int, first: float) -> None:
    """Nothing was written."""


async def _given(told: Told, streamed: bool, leave: Callable[[], None]) -> Response:
    """A reply, whole or as a stream whose first event is there; `leave` is called at its end."""
    try:
        if not streamed:
            return JSONResponse(await told.whole())
        events = told.stream()
        first = await anext(events)
    except BaseException:
        leave()
        raise
    return _Stream(first, events, leave)


class _Stream(StreamingResponse):
    """Server-sent events; whoever listens may go at any time."""

    def __init__(
        self, first: bytes, events: AsyncIterator[bytes], leave: Callable[[], None]
    ) -> None:
        async def all_of_them() -> AsyncIterator[bytes]:
            yield first
            async for one in events:
                yield one

        self._leave = leave
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(all_of_them(), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _moderate(served: Served, body: bytes) -> Response:
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
