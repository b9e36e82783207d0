"""Another server behind the same door: vLLM, llama.cpp, Ollama, or whatever speaks OpenAI's API.

What a client sends was read and is written anew, so nothing that was not looked at goes on. The
reply is passed on as it comes; where it has to be judged, its texts are taken out and given on in
our own form.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import httpx

from kollama2.errors import BadUsage, first_line
from kollama2.serve.refusal import Refusal, overloaded, unknown
from kollama2.serve.row import End, Event, Failed, Piece, Reason

_LARGEST = 16_000_000  # bytes of a reply
_CONNECT = 10.0  # seconds


class Upstream:
    """A server that answers in the place of models at hand.

    Args:
        url: its address up to `/v1`.
        key: what it asks for; None for nothing.
        names: models that clients may ask for; none for all of its.
        rows: requests that it gets at once.
        queue: requests that may wait.
        seconds: for one request.

    Attributes:
        running: requests that it is working on.
        waiting: requests that wait.

    Raises:
        BadUsage: the URL is none.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        names: Sequence[str] = (),
        rows: int = 8,
        queue: int = 32,
        seconds: float = 600.0,
    ) -> None:
        try:
            place = httpx.URL(url.rstrip("/"))
        except httpx.InvalidURL as error:
            raise BadUsage(f"{url} is no address of a server: {first_line(error)}") from error
        if place.scheme not in ("http", "https") or not place.host:
            raise BadUsage(f"{url} is no address of a server; it begins with http:// or https://")
        self._url, self._names, self._queue, self._seconds = str(place), names, queue, seconds
        headers = {"authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(seconds, connect=_CONNECT)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False)
        self._rows = asyncio.Semaphore(rows)
        self.running = self.waiting = 0

    async def models(self) -> dict[str, Any]:
        """Its list of models, without those that clients may not ask for.

        Raises:
            Refusal: it does not answer as it should.
        """
        try:
            response = await self._client.get(f"{self._url}/models")
            found = [one for one in response.raise_for_status().json()["data"] if one["id"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise _unreached(error) from error
        allowed = [one for one in found if not self._names or one["id"] in self._names]
        return {"object": "list", "data": allowed}

    def check(self, model: str) -> None:
        """Refuse what would not be passed on.

        Raises:
            Refusal: clients may not ask for this model, or too many wait.
        """
        if self._names and model not in self._names:
            raise unknown(self._names)
        if self._rows.locked() and self.waiting >= self._queue:
            raise overloaded()

    async def ask(self, path: str, body: dict[str, Any]) -> "Passed":
        """Pass a request on.

        `path` is below `/v1`.

        Raises:
            Refusal: it refuses, or does not answer.
        """
        self.check(body["model"])
        self.waiting += 1
        try:
            await asyncio.wait_for(self._rows.acquire(), self._seconds)
        except asyncio.TimeoutError as error:
            raise Refusal(503, "its turn did not come in time", None, "overloaded", 1) from error
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            request = self._client.build_request("POST", f"{self._url}/{path}", json=body)
            response = await self._client.send(request, stream=True)
        except BaseException as error:
            self.free()
            if isinstance(error, httpx.HTTPError):
                raise _unreached(error) from error
            raise
        passed = Passed(self, response, time.monotonic() + self._seconds)
        if response.status_code != 200:
            try:
                await passed.refuse()
            finally:
                passed.leave()
        return passed

    def free(self) -> None:
        """Somebody else may ask."""
        self.running -= 1
        self._rows.release()

    async def close(self) -> None:
        """End every connection."""
        await self._client.aclose()


class Passed:
    """The reply to a request that was passed on.

    Its body is not read yet; it is to be done `until` then, by `time.monotonic`.

    Attributes:
        prompt: tokens of the prompt, once they are told.
    """

    def __init__(self, upstream: Upstream, response: httpx.Response, until: float) -> None:
        self._upstream, self._response, self._until = upstream, response, until
        self._left = False
        self._closing: asyncio.Task[None] | None = None
        self.prompt = 0

    def leave(self, index: int | None = None) -> None:
        """Nobody waits for it any more; for one text of several it goes on."""
        if index is None and not self._left:
            self._left = True
            self._upstream.free()
            self._closing = asyncio.ensure_future(self._response.aclose())

    async def bytes(self) -> AsyncIterator[bytes]:
        """The reply as it comes.

        Raises:
            Refusal: it breaks off, takes too long or is too large.
        """
        size = 0
        try:
            async for part in self._response.aiter_bytes():
                size += len(part)
                if size > _LARGEST or time.monotonic() > self._until:
                    raise Refusal(502, "the reply was too long", None, "upstream")
                yield part
        except httpx.HTTPError as error:
            raise _unreached(error) from error

    async def whole(self) -> Any:
        """The reply as JSON; raises as `bytes`."""
        try:
            return json.loads(b"".join([part async for part in self.bytes()]))
        except (ValueError, RecursionError) as error:
            raise Refusal(502, "the reply was no JSON", None, "upstream") from error

    async def refuse(self) -> None:
        """Tell the client what it was told, where that is the client's affair.

        Raises:
            Refusal: always.
        """
        status, said = self._response.status_code, None
        if 400 <= status < 500 and status not in (401, 403):
            with suppress(Refusal, KeyError, TypeError):
                said = (await self.whole())["error"]["message"]
        if not isinstance(said, str):
            status, said = 502, "the server behind this one does not answer"
        raise Refusal(status, said, None, "upstream", 1 if status == 429 else None)

    async def events(self, count: int) -> AsyncIterator[tuple[int, Event]]:
        """The texts of a streamed reply, which end together, so that their tokens are known."""
        ends: dict[int, Reason] = {}
        written, pieces, rest = 0, 0, b""
        try:
            async for part in self.bytes():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    chunk = _chunk(line)
                    used = chunk.get("usage") or {}
                    self.prompt = _number(used.get("prompt_tokens")) or self.prompt
                    written = _number(used.get("completion_tokens")) or written
                    for choice in chunk.get("choices") or []:
                        index, text, reason = _said(choice)
                        pieces += 1
                        if text and index < count and index not in ends:
                            yield index, Piece(text, pieces)
                        if reason:
                            ends[index] = "length" if reason == "length" else "stop"
            complete = sorted(ends) == list(range(count))
        except (Refusal, TypeError, ValueError, AttributeError):
            complete = False
        if not complete:
            yield 0, Failed("the server behind this one gave no whole reply", upstream=True)
            return
        for index, reason in ends.items():
            yield index, End(reason, 0 if index else written or pieces)


def _chunk(line: bytes) -> dict[str, Any]:
    """The object in a line of a stream; an empty one where there is none."""
    data = line.removeprefix(b"data:").strip()
    if not line.startswith(b"data:") or data == b"[DONE]":
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refusal(502, "a part of the reply was no JSON", None, "upstream") from error
    return found if isinstance(found, dict) else {}


def _said(choice: Any) -> tuple[int, str, Any]:
    """The index, new text and end of a choice in a chunk."""
    text = choice["delta"].get("content") if "delta" in choice else choice.get("text")
    # JSON can hold halves of a character, and no text can.
    whole = (text or "").encode("utf-8", "replace").decode()
    return _number(choice.get("index")), whole, choice.get("finish_reason")


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def _unreached(error: Exception) -> Refusal:
    said = f"the server behind this one does not answer: {type(error).__name__}"
    return Refusal(502, said, None, "upstream")
