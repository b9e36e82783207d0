"""Publishing: the hub's protocol of commits on loopback, a token that may not write, no network."""

import base64
import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub_constants
import pytest

from kollama2.errors import BadUsage, Denied, Missing
from kollama2.exporting.push import publish
from tests.loopback import Loopback, Quiet, running

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(Loopback):
    """A hub that takes commits of small files."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}


class _Handler(Quiet):
    server: Hub

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer hf_writes":
            return self._answer({"error": "You may not write"}, 403)
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            self.server.made.append(json.loads(content))
            return self._answer({"url": "https://huggingface.co/me/model", "name": "me/model"})
        if path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if path.endswith("/preupload/main"):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(content)["files"]
            ]
            return self._answer({"files": files})
        if path.endswith("/commit/main"):
            for line in content.splitlines():
                one = json.loads(line)
                if one["key"] == "file":
                    value = one["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            url = f"https://huggingface.co/me/model/commit/{COMMIT}"
            return self._answer({"success": True, "commitUrl": url, "commitOid": COMMIT})
        return self._answer({"error": f"no {path}"}, 404)

    def do_GET(self) -> None:
        self._answer({"error": "Repository not found"}, 404)  # nothing there that one may see

    def _answer(self, what: Any, status: int = 200) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# It\n", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "MANIFEST.json").write_text("{}")
    return tmp_path


def test_a_folder_is_published_with_the_users_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Hub()) as hub:
        monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_writes")
        address = publish(folder, "me/model", endpoint=hub.origin)
        assert address == f"https://huggingface.co/me/model/commit/{COMMIT}"
        assert hub.made[0] == {"name": "model", "organization": "me", "visibility": "private"}
        assert hub.files.keys() == {"README.md", "model.safetensors"}
        assert hub.files["model.safetensors"] == b"weights"
        monkeypatch.setenv("HF_TOKEN", "hf_reads")
        with pytest.raises(
            Denied, match=r"the hub refuses to write me/model \(403\).*: hf upload me"
        ):
            publish(folder, "me/model", endpoint=hub.origin)
        gone = hub.origin
    again = f"the model is in {folder}: hf upload me/model {folder} --private"
    with pytest.raises(Missing, match=f"the hub cannot be reached .*; {again}"):
        publish(folder, "me/model", endpoint=gone)


def test_without_a_name_or_a_token_nothing_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(BadUsage, match="push is 'model'; a repository of the hub is OWNER/NAME"):
        publish(folder, "model")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(hub_constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(Denied, match="there is no token for the hub: set HF_TOKEN"):
        publish(folder, "me/model")
