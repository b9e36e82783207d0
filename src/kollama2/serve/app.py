"""The application: OpenAI's paths, and those by which a server is watched."""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from kollama2.pages.page import page
from kollama2.serve import work
from kollama2.serve.metrics import Metrics
from kollama2.serve.refusal import Refusal, overloaded, unknown
from kollama2.serve.served import Served
from kollama2.web import LOOPBACK, Gate

BODY = 1 << 20  # bytes of a request
_PATHS = ("/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/moderations")
_OPEN = ("/", "/healthz", "/readyz")  # asked by programs and people who give no token yet
_LOOK = ["GET", "HEAD"]


class Door(Gate):
    """The gate of this server: tokens as OpenAI's clients send them, refusals as they read them."""

    denied = (401, "the header Authorization: Bearer TOKEN is missing or wrong")

    def given(self, scope: Any, headers: dict[str, str]) -> str:
        """The token of a request; those that are open need none."""
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
        if served.upstream is not None:
            await served.upstream.close()

    app = FastAPI(
        title="kollama2 serve", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life,
        redirect_slashes=False,
    )  # fmt: skip
    app.add_middleware(Door, hosts=hosts, token=token, body=BODY)
    _shown(app)
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


def _shown(app: FastAPI) -> None:
    shown = page(Path(__file__).parent / "page", "chat", ("ask", "talks"))

    @app.api_route("/", methods=_LOOK)
    async def index() -> Response:
        return HTMLResponse(shown.html, headers=shown.headers)


def _watched(app: FastAPI, served: Served) -> None:
    @app.api_route("/healthz", methods=_LOOK)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.api_route("/readyz", methods=_LOOK)
    async def readyz() -> Response:
        dead = [name for name, model in served.models.items() if not model.engine.alive]
        if dead:
            return PlainTextResponse(f"not ready: {', '.join(dead)}\n", 503)
        return PlainTextResponse("ready\n")

    @app.get("/metrics")
    async def metrics() -> Response:
        text = served.metrics.text(served.gauges())
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    started = int(time.time())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        if served.upstream is not None:
            return await served.upstream.models()
        found = [
            {"id": name, "object": "model", "created": started, "owned_by": "kollama2"}
            for name in served.models
        ]
        return {"object": "list", "data": found}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {one["id"]: one for one in (await models())["data"]}
        if name not in found:
            raise unknown(found)
        return found[name]


def _asked(app: FastAPI, served: Served) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _unless_gone(request, work.chat(served, await _body(request, served)))

    @app.post("/v1/completions")
    async def completion(request: Request) -> Response:
        return await _unless_gone(request, work.complete(served, await _body(request, served)))

    @app.post("/v1/moderations")
    async def moderation(request: Request) -> Response:
        return await _unless_gone(request, work.moderate(served, await _body(request)))


def _refused(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Any) -> Response:
        return JSONResponse(error.body(), error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: Any) -> Response:
        said = str(error.detail)
        if error.status_code == 404:
            said = f"there is nothing here; there are {', '.join(_PATHS)}"
        if error.status_code == 405:
            said = f"{request.method} is not for this path; ask with {error.headers['Allow']}"
        return JSONResponse(
            Refusal(error.status_code, said).body(), error.status_code, error.headers
        )

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        traceback.print_exception(error, file=sys.stderr)
        return JSONResponse(Refusal(500, "a defect of the server", code="defect").body(), 500)


async def _body(request: Request, served: Served | None = None) -> bytes:
    """The body of a request.

    Raises:
        Refusal: it is not said to be JSON, so that a page elsewhere might have sent it unasked; or
            it would be for models of which none has room.
    """
    if served is not None and served.full:
        raise overloaded()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the content type has to be application/json", None, "content_type")
    return await request.body()


async def _unless_gone(request: Request, reply: Awaitable[Response]) -> Response:
    """A response, the work on which ends where its client goes."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(reply), asyncio.ensure_future(gone())
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
