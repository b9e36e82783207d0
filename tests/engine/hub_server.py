"""A local server that speaks as much of the hub's protocol as fetching a repository needs."""

import hashlib
import json
from contextlib import AbstractContextManager

from tests.loopback import Loopback, Quiet, running

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.model": b"pieces",
    "model.safetensors": b"weights " * 20_000,
    "pytorch_model.bin": b"a pickle, never to be fetched",
    "modeling.py": b"code, never to be fetched",
}


class Hub(Loopback):
    """Repositories by `models/owner/name` or `datasets/owner/name`.

    Attributes:
        gated: repositories whose files want a token that was granted.
        tokens: tokens of accounts.
        granted: those of them that may read gated files.
        narrow: those of them whose rights do not reach gated repositories.
        broken: files whose transfer ends early once.
        sent: files of the transfers, in their order.
    """

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        super().__init__(_Handler)
        self.repositories = repositories
        self.gated: set[str] = set()
        self.tokens: set[str] = set()
        self.granted: set[str] = set()
        self.narrow: set[str] = set()
        self.broken: set[str] = set()
        self.sent: list[str] = []


class _Handler(Quiet):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith("cdn/"):  # large files come from another place, without the token
            assert "Authorization" not in self.headers
            return self._file(path.split("/", 4)[4], "/".join(path.split("/")[1:4]))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in self.server.tokens:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if path.startswith("api/"):
            return self._api(path.removeprefix("api/"), token)
        parts = path.split("/")
        at = parts.index("resolve")
        repository = "/".join(parts[:at] if at == 3 else ["models", *parts[:at]])
        return self._resolve(repository, "/".join(parts[at + 2 :]), token)

    def _api(self, path: str, token: str) -> None:
        repository = "/".join(path.split("/")[:3])
        files = self.server.repositories.get(repository)
        if files is None:
            code = 404 if token else 401
            return self._refuse(code, "RepoNotFound" if token else "", "Repository not found")
        if "/revision/" in path and path.rpartition("/")[2] not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound", "Invalid rev id")
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                for name, content in files.items()
            ]
            return self._send(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
        about = {"id": repository.partition("/")[2], "sha": COMMIT, "siblings": []}
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _resolve(self, repository: str, name: str, token: str) -> None:
        if repository in self.server.gated and token not in self.server.granted:
            kind = "" if token in self.server.narrow else "GatedRepo"
            return self._refuse(403 if token else 401, kind, "Access is restricted")
        content = self.server.repositories[repository].get(name)
        if content is None:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        about = {"X-Repo-Commit": COMMIT}
        if name.endswith(".safetensors"):
            about |= {
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{_etag(content)}"',
                "Location": f"http://localhost:{self.server.server_address[1]}/cdn/{repository}/{name}",
            }
            return self._send(302, about, b"")
        return self._send(200, about | {"ETag": f'"{_etag(content)}"'}, content)

    def _file(self, name: str, repository: str) -> None:
        content = self.server.repositories[repository][name]
        span = self.headers.get("Range")
        start = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
        self.server.sent.append(name)
        headers = {"ETag": f'"{_etag(content)}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if name in self.server.broken:
            self.server.broken.discard(name)
            self.close_connection = True
            return self._send(200, headers, body[: len(body) // 2], claimed=len(body))
        return self._send(206 if start else 200, headers, body)

    def _refuse(self, code: int, kind: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": kind} if kind else {})
        self._send(code, headers, b"")

    def _send(
        self, code: int, headers: dict[str, str], body: bytes, claimed: int | None = None
    ) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def serving(repositories: dict[str, dict[str, bytes]]) -> AbstractContextManager[Hub]:
    return running(Hub(repositories))
