"""Web: what is under every server here; it answers those who may ask, and waits for nobody long.

Uvicorn waits for ever for the rest of a request, so its protocol gets a deadline here; how large a
request may be, by which name the server is asked and with which token is looked at before the
application sees anything.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kollama2.errors import BadUsage

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SECONDS = 10.0  # for a whole request, and between two on one connection
CONNECTIONS = 800  # at a time; a process may open 1,024 files where nobody raised that
BODY, HEADERS = 4_096, 16_384  # bytes


class _Gone(Exception):  # it tells no error
    """Nobody waits for an answer any more."""


class Gate:
    """Middleware that refuses what is not for the application.

    Args:
        app: the application.
        hosts: names by which it may be addressed, so that no page elsewhere reaches a local
            server through a name of its own; None: by any, because a token is asked for.
        token: what every request must carry, where `given` finds it; None: nothing.
        body: most bytes of a request.
    """

    denied = (403, "the address lacks its ?token=; ask who started me")

    def __init__(
        self, app: "ASGIApp", hosts: tuple[str, ...] | None, token: str | None, body: int = BODY
    ) -> None:
        self._app, self._hosts, self._token, self._body = app, hosts, token, body

    def given(self, scope: "Scope", headers: dict[str, str]) -> str:
        """The token that a request carries: `?token=`."""
        query: bytes = scope["query_string"]
        return parse_qs(query.decode("latin-1")).get("token", [""])[0]

    def told(self, status: int, why: str) -> tuple[str, str]:
        """The content type and text of a refusal."""
        return "text/plain; charset=utf-8", f"{why}\n"

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if refusal := self._refusal(scope):
            return await self._refuse(send, *refusal)
        try:
            body = await self._read(scope, receive)
        except _Gone:
            return None
        if body is None:
            return await self._refuse(send, 413, f"a request has at most {self._body} bytes")
        return await self._app(scope, _given(body, receive), send)

    def _refusal(self, scope: "Scope") -> tuple[int, str] | None:
        """What the line and the headers of a request are refused for."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS:
            return 431, f"the headers have at most {HEADERS} bytes"
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if self._hosts is not None and _host(headers.get("host", "")) not in self._hosts:
            return 400, "this name is not mine; ask for localhost"
        if self._token is not None:
            given = self.given(scope, headers).encode()
            if not hmac.compare_digest(given, self._token.encode()):
                return self.denied
        return None

    async def _read(self, scope: "Scope", receive: "Receive") -> bytes | None:
        """The whole body; None where it is too large.

        Raises:
            _Gone: the client did not wait for the end of it.
        """
        size = dict(scope["headers"]).get(b"content-length", b"0")
        if not size.isdigit() or len(size) > 8 or int(size) > self._body:
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _Gone
            body += message.get("body", b"")
            if len(body) > self._body:
                return None
            if not message.get("more_body", False):
                return bytes(body)

    async def _refuse(self, send: "Send", status: int, why: str) -> None:
        kind, text = self.told(status, why)
        headers = [(b"content-type", kind.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


def _host(header: str) -> str:
    """The name in a Host header, without its port: `[::1]:80` is `::1`."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _given(body: bytes, receive: "Receive") -> "Receive":
    """The body that was read, then what comes after it."""
    first = True

    async def again() -> "Message":
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


class Deadline(H11Protocol):
    """Uvicorn's protocol, closed where a request is not whole, or an answer not read, in time."""

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > CONNECTIONS:
            transport.abort()

    def on_response_complete(self) -> None:
        """The next request may come."""
        self._timer.cancel()
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(SECONDS, self._look)

    def _look(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        whole = answering and not self.cycle.more_body
        if whole and not self.transport.get_write_buffer_size():
            self._wait()  # it is our turn
        else:
            self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        BadUsage: the address is none of this machine's, or the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadUsage(f"nothing can listen on {host}, port {port}: {why}") from error


def local_names(listening: socket.socket) -> tuple[str, ...]:
    """The names by which a server for this machine alone may be addressed."""
    return (*LOOPBACK, listening.getsockname()[0])


def bare(host: str) -> str:
    """An address without the brackets that IPv6 has in a URL."""
    return host.removeprefix("[").removesuffix("]")


def url(host: str, listening: socket.socket, token: str | None = None) -> str:
    """The URL of a server that listens on `host` (bare), with the token that a page asks for."""
    shown = f"[{host}]" if ":" in host else host
    asked = f"?token={token}" if token else ""
    return f"http://{shown}:{listening.getsockname()[1]}/{asked}"


def new_token(host: str) -> str | None:
    """A token for the URL of a page; None where only this machine reaches the address."""
    return None if is_loopback(host) else secrets.token_urlsafe(18)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def run(
    app: Any,
    listening: socket.socket,
    drain: int = 5,
    server: Callable[[uvicorn.Config], uvicorn.Server] = uvicorn.Server,
) -> None:
    """Serve an application until the process is interrupted.

    Args:
        app: the application.
        listening: what `listen` returned.
        drain: seconds for answers that are being given when the process is to end.
        server: makes uvicorn's server, or one of its kind.
    """
    config = uvicorn.Config(
        app, http=Deadline, ws="none", log_level="critical", h11_max_incomplete_event_size=HEADERS,
        timeout_graceful_shutdown=drain,
    )  # fmt: skip
    server(config).run(sockets=[listening])
