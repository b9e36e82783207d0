"""The server under the arena: it answers those who may ask, and waits for nobody for long.

Uvicorn waits for ever for the rest of a request, so its protocol gets a deadline here; how large a
request may be, by which name the server is asked and with which token is looked at before the
application sees anything.
"""

import hmac
import ipaddress
import socket
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


class Gate:
    """Middleware that refuses what is not for the application.

    Args:
        app: the application.
        hosts: names by which it may be addressed, so that no page elsewhere reaches a local
            server through a name of its own; None: by any, because a token is asked for.
        token: what every address must carry as `?token=`; None: nothing.
    """

    def __init__(self, app: "ASGIApp", hosts: tuple[str, ...] | None, token: str | None) -> None:
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS:
            return await _refuse(send, 431, f"the headers have at most {HEADERS} bytes")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if self._hosts is not None and _host(headers.get("host", "")) not in self._hosts:
            return await _refuse(send, 400, "this name is not mine; ask for localhost")
        if self._token is not None and not self._knows(scope["query_string"]):
            return await _refuse(send, 403, "the address lacks its ?token=; ask who started me")
        size = headers.get("content-length", "0")
        body = b"" if size.isdigit() and len(size) < 9 and int(size) <= BODY else None
        while body is not None:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
            body = body if len(body) <= BODY else None
        if body is None or len(body) > BODY:
            return await _refuse(send, 413, f"a request has at most {BODY} bytes")
        return await self._app(scope, _given(body, receive), send)

    def _knows(self, query: bytes) -> bool:
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        assert self._token is not None
        return hmac.compare_digest(given.encode(), self._token.encode())


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


async def _refuse(send: "Send", status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})


class Deadline(H11Protocol):
    """Uvicorn's protocol, closed where a request is not whole, or an answer not read, in time."""

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def on_response_complete(self) -> None:
        """The next request may come."""
        self._timer.cancel()
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if hasattr(self, "_timer"):
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


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def run(app: Any, listening: socket.socket) -> None:
    """Serve an application until the process is interrupted."""
    config = uvicorn.Config(
        app, http=Deadline, ws="none", log_level="critical", h11_max_incomplete_event_size=HEADERS,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])
