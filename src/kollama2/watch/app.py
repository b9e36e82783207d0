"""The server of the page: it answers questions about the store, and changes nothing in it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kollama2.errors import BadUsage, Fault
from kollama2.locale import say
from kollama2.pages.page import page
from kollama2.watch.read import Records
from kollama2.web import LOOPBACK, Gate, bare, listen, local_names, new_token, run, url

if TYPE_CHECKING:
    from fastapi import FastAPI


def create(
    store: Path, hosts: tuple[str, ...] | None = LOOPBACK, token: str | None = None
) -> "FastAPI":
    """The web application; `hosts` and `token` as in `web.Gate`."""
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse, JSONResponse

    app = FastAPI(title="kollama2 watch", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Gate, hosts=hosts, token=token)
    records = Records(store)
    shown = page(Path(__file__).parent, "watch", ("charts",), store=str(store))

    @app.get("/")
    def index() -> HTMLResponse:
        return HTMLResponse(shown.html, headers=shown.headers)

    @app.get("/api/studies")
    def studies() -> list[dict[str, Any]]:
        return records.studies()

    @app.get("/api/study")
    def study(name: str) -> dict[str, Any]:
        return records.study(name)

    @app.get("/api/board")
    def board(name: str) -> dict[str, Any]:
        return records.board(name)

    @app.exception_handler(Fault)
    def failed(request: Request, fault: Exception) -> JSONResponse:
        status = 404 if isinstance(fault, BadUsage) else 503
        return JSONResponse({"error": str(fault)}, status_code=status)

    return app


def serve(store: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page until the process is interrupted.

    Args:
        store: the folder whose studies are shown.
        host: address to listen on; where other machines reach it, the page needs a token.
        port: to listen on; 0 takes a free one.
        tell: receives what is said to whoever started it.

    Raises:
        BadUsage: nothing can listen there.
    """
    host = bare(host)
    token = new_token(host)
    with listen(host, port) as listening:
        place = url(host, listening, token)
        tell(say("studies of {store}: {place} (stop with Ctrl-C)", store=store, place=place))
        if token:
            tell(say("other machines reach this address; only who knows all of it may look"))
        run(create(store, None if token else local_names(listening), token), listening)
