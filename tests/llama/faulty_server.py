"""A local server of Llama 2's files that can do wrong what servers and links do wrong."""

import hashlib
import time
from contextlib import AbstractContextManager

from tests.loopback import Loopback, Quiet, running

SECRET = "Policy=eyJTdGF0&Signature=sEcReT-sIgNaTuRe"
HEADERS: dict[str, tuple[int, dict[str, str]]] = {
    "huge": (200, {"Content-Length": "99999999999999"}),
    "no number": (206, {"Content-Range": "bytes \xb2-\xb2/\xb2"}),
    "long number": (206, {"Content-Range": f"bytes {'9' * 5000}-/{'9' * 5000}"}),
    "not modified": (304, {}),
    "no place": (302, {"Location": "http://["}),
}
PAGE = b"<!DOCTYPE html><html><title>403 ERROR</title>The request could not be satisfied.</html>"


def files(model: str = "llama-2-7b", shards: int = 1) -> dict[str, bytes]:
    """What the server offers, by path, in the order of Meta's script."""
    found = {
        "LICENSE": b"licence\n",
        "USE_POLICY.md": b"policy\n",
        "tokenizer.model": b"\n\x0e\n\x05<unk>" * 50,
    }
    found["tokenizer_checklist.chk"] = sums(found, ["tokenizer.model"])
    weights = {
        f"{model}/consolidated.{i:02d}.pth": b"PK\x03\x04" + bytes([i + 1]) * 300_000
        for i in range(shards)
    }
    weights[f"{model}/params.json"] = b'{"dim": 64}'
    return found | weights | {f"{model}/checklist.chk": sums(weights, list(weights))}


def sums(contents: dict[str, bytes], names: list[str]) -> bytes:
    lines = [
        f"{hashlib.md5(contents[name]).hexdigest()}  {name.rpartition('/')[2]}" for name in names
    ]
    return ("\n".join(lines) + "\n").encode()


class Server(Loopback):
    """Serves `contents`; `faults` says what goes wrong at the n-th request for a path.

    Attributes:
        sent: bytes of bodies that were sent, by path.
        asked: paths in the order of the requests.
        signature: what the query must be; another one is an expired link.
    """

    def __init__(self, contents: dict[str, bytes]) -> None:
        super().__init__(_Handler)
        self.contents = contents
        self.faults: dict[tuple[str, int], str] = {}
        self.sent: dict[str, int] = {}
        self.asked: list[str] = []
        self.signature = SECRET
        self.tags: dict[str, str] = {}

    @property
    def link(self) -> str:
        return f"{self.origin}/*?{SECRET}"


class _Handler(Quiet):
    server: Server

    def do_GET(self) -> None:
        path, _, query = self.path.lstrip("/").partition("?")
        times = self.server.asked.count(path)
        self.server.asked.append(path)
        fault = self.server.faults.get((path, times)) or self.server.faults.get((path, -1), "")
        if fault == "403" or query != self.server.signature:
            return self._answer(403, PAGE, "text/html")
        if fault == "200 html":
            return self._answer(200, PAGE, "text/html; charset=utf-8")
        if fault == "200 xml":
            return self._answer(200, b"<?xml version='1.0'?><Error>AccessDenied</Error>", "")
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", f"http://example.com/{path}?{SECRET}")
            self.end_headers()
            return None
        if fault in HEADERS:
            self.send_response(HEADERS[fault][0])
            for name, value in HEADERS[fault][1].items():
                self.send_header(name, value)
            self.end_headers()
            return None
        if fault == "endless":
            self.send_response(200)
            self.end_headers()
            while self.server.sent.get(path, 0) < 100_000_000:  # it fails where nobody stops it
                self.wfile.write(b"PK" * 50_000)
                self.server.sent[path] = self.server.sent.get(path, 0) + 100_000
            return None
        if fault == "500":
            return self._answer(500, b"oops", "text/plain")
        body = self.server.contents.get(path)
        if body is None:
            return self._answer(404, PAGE, "text/html")
        if fault == "wrong content":
            body = body[:-1] + b"?"
        tag = self.server.tags.get(path, '"one"')
        return self._body(path, body, tag, fault)

    def _body(self, path: str, body: bytes, tag: str, fault: str) -> None:
        span, start = self.headers.get("Range"), 0
        if span and fault != "range ignored":
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(206)
            told = start + 1 if fault == "range wrong" else start
            self.send_header("Content-Range", f"bytes {told}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", "binary/octet-stream")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = fault in ("short", "stall", "silence", "range wrong")
        half = 0 if fault == "silence" else (len(body) - start) // 2
        piece = body[start : start + half if cut else None]
        self.wfile.write(piece)
        self.wfile.flush()
        self.server.sent[path] = self.server.sent.get(path, 0) + len(piece)
        if fault in ("stall", "silence"):
            time.sleep(1.5)
        if cut:
            self.close_connection = True

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if kind:
            self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)


def serving(contents: dict[str, bytes]) -> AbstractContextManager[Server]:
    return running(Server(contents))
