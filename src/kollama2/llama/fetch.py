"""Fetching one file of a signed link: resumed where it broke off, never anything but the file.

The link's signature is a secret: no message, log line or file of ours holds more than the path.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from kollama2.engine.commit import write_json
from kollama2.errors import BadUsage, Denied, Missing, TryLater, storage

Heard = Callable[[str, int, int | None], None]

ASK = "https://www.llama.com/llama-downloads/"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TRIES = 5  # in a row that brought nothing new
_ALL_TRIES = 1000
_SLOWEST = 1000  # bytes a second
_REDIRECTS = 5
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_PICKLE_OR_ZIP = (b"PK", b"\x80")

for _library in ("httpx", "httpcore"):  # they would log whole links
    logging.getLogger(_library).setLevel(logging.WARNING)


class Broken(Exception):
    """The transfer stopped; what came is kept and the next try goes on from there."""


def shown(url: str) -> str:
    """What of a link may be shown: not its query, which holds the signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what is no address"
    return f"{parts.scheme}://{parts.hostname}{parts.path}"[:200]


def check_link(url: str) -> None:
    """Refuse what cannot be fetched safely.

    Raises:
        BadUsage: no https link.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUsage("the link is none; copy it whole from the e-mail") from None
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or loopback):
        raise BadUsage("the link must begin with https://; copy it whole from the e-mail")


def expired(name: str) -> Denied:
    """The sentence for a link that the server does not accept."""
    return Denied(
        f"the server refuses {name}: a link works for 24 hours and a limited number of downloads. "
        f"Request a new one on {ASK} with the same e-mail address and give the same command with "
        "it; what was fetched is kept and continued"
    )


class Fetcher:
    """A connection to the server.

    Args:
        heard: called with name, bytes and total (or None) while a file grows.
        patience: seconds without a byte after which a transfer counts as broken.
        pause: seconds before the first new try; doubled for each further one.
    """

    def __init__(
        self, heard: Heard = lambda *_: None, patience: float = 60.0, pause: float = 1.0
    ) -> None:
        self._client = httpx.Client(timeout=patience, follow_redirects=False)
        self._heard, self._patience, self._pause = heard, patience, pause

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def fetch(self, url: str, partial: Path, name: str, limit: int) -> None:
        """Make `partial` the whole content of a link; what it holds already is continued.

        Only bytes beyond all that were ever there count as progress, so that a server which breaks
        off, or whose ranges do not fit, is given up.

        Args:
            url: the signed link.
            partial: file to write; beside it lies what is known of the content.
            name: how messages call the file.
            limit: bytes that such a file can have.

        Raises:
            Denied: the link expired, is not for this file, or leads away from https.
            Missing: the server has no such file, or sends more than such a file can be.
            TryLater: the connection broke again and again, or the disk is full; nothing is lost.
        """
        failures, furthest = 0, _size(partial)
        for _ in range(_ALL_TRIES):
            try:
                if self._once(url, partial, name, limit):
                    _about(partial).unlink(missing_ok=True)
                    return
                reason = "the server ended the transfer early"
            except Broken as broken:
                reason = str(broken)
            failures = 1 if _size(partial) > furthest else failures + 1
            furthest = max(furthest, _size(partial))
            if failures >= _TRIES:
                break
            time.sleep(self._pause * 2 ** (failures - 1))
        raise TryLater(
            f"{name} could not be fetched: {reason}; the {_size(partial):,} bytes that came are "
            "kept, give the same command again"
        )

    def _once(self, url: str, partial: Path, name: str, limit: int) -> bool:
        have = _size(partial)
        with self._response(url, have, name) as answer:
            if answer.status_code == 416:
                total = _total(answer)
                if have and total == have:
                    return True
                partial.unlink(missing_ok=True)
                return False
            self._refuse(answer, name)
            total = _total(answer)
            tag = answer.headers.get("etag")
            resumed = answer.status_code == 206
            if resumed and (_start(answer) != have or not _same(partial, tag, total)):
                partial.unlink(missing_ok=True)  # the content is another one now
                return False
            have = have if resumed else 0
            if total is not None and total > limit:
                raise _too_much(name, limit)
            room = shutil.disk_usage(partial.parent).free
            if total is not None and total - have > room:
                raise TryLater(
                    f"{name} needs {total - have:,} bytes more and the disk of {partial.parent} "
                    f"has {room:,}; free some space and give the same command again"
                )
            write_json(_about(partial), {"etag": tag, "total": total}, durable=False)
            self._write(answer, partial, name, have, total, limit)
        return total is None or _size(partial) == total

    def _write(
        self,
        answer: httpx.Response,
        partial: Path,
        name: str,
        have: int,
        total: int | None,
        limit: int,
    ) -> None:
        chunks = self._chunks(answer)
        first = next(chunks, b"")
        if have == 0:
            _check_start(first, name)
        looked, then = time.monotonic(), have
        with storage(partial), partial.open("ab" if have else "wb") as file:
            while first:
                have += len(first)
                if have > (limit if total is None else total):
                    file.truncate(0)
                    raise _too_much(name, limit if total is None else total)
                file.write(first)
                self._heard(name, have, total)
                if (passed := time.monotonic() - looked) > self._patience:
                    if have - then < passed * _SLOWEST:
                        raise Broken(f"the server sends less than {_SLOWEST:,} bytes a second")
                    looked, then = time.monotonic(), have
                first = next(chunks, b"")

    @staticmethod
    def _chunks(answer: httpx.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()  # as it comes: what waits in a buffer would be lost
        except httpx.HTTPError as error:
            raise Broken(_reason(error)) from None

    @contextmanager
    def _response(self, url: str, have: int, name: str) -> Iterator[httpx.Response]:
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        for _ in range(_REDIRECTS):
            try:
                request = self._client.build_request("GET", url, headers=headers)
                answer = self._client.send(request, stream=True)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise Broken(_reason(error)) from None
            try:
                if not answer.has_redirect_location:
                    yield answer
                    return
                place = answer.headers["location"]
            finally:
                answer.close()
            try:
                url = urljoin(url, place)
                check_link(url)
            except ValueError:  # a Fault is one
                raise Denied(
                    f"the server leads {name} to {shown(place)}, which is not https; nothing was "
                    "fetched from there. Use the link of the e-mail, without a proxy"
                ) from None
        raise Denied(f"the server redirects {name} in circles; request a new link")

    @staticmethod
    def _refuse(answer: httpx.Response, name: str) -> None:
        code = answer.status_code
        if code in (401, 403):
            raise expired(name)
        if code in (404, 410):
            raise Missing(f"the server has no {name}; is the link the one of the e-mail?")
        if code in (408, 425, 429) or code >= 500:
            raise Broken(f"the server answered {code}")
        if code not in (200, 206):
            raise Missing(f"the server answered {code} for {name}")
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise expired(name)


def _reason(error: Exception) -> str:
    """Why a transfer broke, by kind alone: the texts of such errors can hold the link."""
    if isinstance(error, httpx.TimeoutException):
        return "the server stopped sending"
    if isinstance(error, httpx.ConnectError):
        return "the server cannot be reached"
    return "the connection broke"


def _check_start(first: bytes, name: str) -> None:
    """An error page or a document of the storage service never becomes a file."""
    start = first.lstrip()[:16].lower()
    wrong = name.endswith(".pth") and not first.startswith(_PICKLE_OR_ZIP)
    if start.startswith(_PAGES) or (first and wrong):
        raise expired(name)


def _size(path: Path) -> int:
    with storage(path):
        return path.stat().st_size if path.exists() else 0


def _about(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _same(partial: Path, tag: str | None, total: int | None) -> bool:
    """Whether the bytes we have are of the content that the server offers now."""
    try:
        known = json.loads(_about(partial).read_bytes())
    except (OSError, ValueError):
        return False
    if not isinstance(known, dict):
        return False
    return (known.get("etag"), known.get("total")) == (tag, total)


def _start(answer: httpx.Response) -> int | None:
    span = answer.headers.get("content-range", "").removeprefix("bytes ").split("-")[0]
    return _number(span)


def _total(answer: httpx.Response) -> int | None:
    ranged = answer.headers.get("content-range")
    value = ranged.rpartition("/")[2] if ranged else answer.headers.get("content-length", "")
    return _number(value)


def _number(text: str) -> int | None:
    """A size in a header; one of more digits than any file needs is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _too_much(name: str, limit: int) -> Missing:
    return Missing(
        f"the server sends more than the {limit:,} bytes that {name} can have; is the link the one "
        "of the e-mail?"
    )
