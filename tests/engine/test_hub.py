"""Fetching from the hub, against a local server that speaks its protocol."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.hub_server import COMMIT, MODEL, Hub, serving

LLAMA = "meta-llama/Llama-2-7b-hf"
WANTED = {"config.json", "tokenizer.model", "model.safetensors"}

# One process for all calls of a test, because importing the library takes a second.
CALLS = """
import json, os, sys
from pathlib import Path
from kollama2.engine.hub import commit_of, snapshot
from kollama2.errors import Fault
for call in json.loads(sys.argv[1]):
    os.environ.pop("HF_TOKEN", None)
    os.environ |= {"HF_TOKEN": call["token"]} if "token" in call else {}
    arguments = dict(call.get("arguments", {}))
    if "target" in arguments:
        arguments["target"] = Path(arguments["target"])
    function = commit_of if call.get("commit") else snapshot
    try:
        print(json.dumps({"value": str(function(call["uri"], **arguments))}))
    except Fault as fault:
        print(json.dumps({"fault": type(fault).__name__, "says": str(fault)}))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    repositories = {
        f"models/{LLAMA}": MODEL,
        "models/owner/open": MODEL,
        "datasets/owner/chats": {"train.jsonl": b"{}\n", "load.py": b"code"},
    }
    with serving(repositories) as server:
        server.gated = {f"models/{LLAMA}"}
        server.tokens = {"hf_mine", "hf_other", "hf_narrow"}
        server.narrow = {"hf_narrow"}
        server.granted = {"hf_mine"}
        yield server


def environment(endpoint: str, home: Path, **more: str) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    found |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    return found | {"no_proxy": "*", "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | more


def calls(endpoint: str, home: Path, *asked: dict[str, Any]) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(asked)], env=environment(endpoint, home),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".cache"}


def test_the_commands_download_of_llama_2(hub: Hub, tmp_path: Path) -> None:
    def download(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable, "-m", "kollama2", "download", "--from", "hub", "--models", "7B",
                "-o", str(tmp_path),
            ],
            env=environment(hub.origin, tmp_path / "home", **more),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    folder = tmp_path / "llama-2-7b-hf"
    refused = download()
    assert (refused.returncode, refused.stdout) == (77, "")
    assert refused.stderr == (
        f"kollama2: hf:{LLAMA} is gated: accept its conditions on https://huggingface.co/{LLAMA} "
        "(for Llama 2 also ask on Meta's download page with the e-mail address of that account; "
        "it takes one to two days), then set HF_TOKEN to a token of the same account\n"
    )
    done = download(HF_TOKEN="hf_mine")
    assert (done.returncode, done.stdout) == (0, f"{folder}\n"), done.stderr
    assert "hf_mine" not in done.stderr
    assert names(folder) == WANTED
    assert all((folder / name).read_bytes() == MODEL[name] for name in WANTED)


def test_what_the_hub_refuses(hub: Hub, tmp_path: Path) -> None:
    def target(name: str) -> dict[str, Any]:
        return {"target": str(tmp_path / name)}

    gated, other, narrow, wrong, absent, private, none, revision = calls(
        hub.origin,
        tmp_path / "home",
        {"uri": f"hf:{LLAMA}", "arguments": target("a")},
        {"uri": f"hf:{LLAMA}", "token": "hf_other", "arguments": target("b")},
        {"uri": f"hf:{LLAMA}", "token": "hf_narrow"},
        {"uri": f"hf:{LLAMA}", "token": "hf_expired", "arguments": target("c")},
        {"uri": "hf:owner/absent", "token": "hf_mine"},
        {"uri": "hf:owner/private"},
        {"uri": "hf:a/b/c"},
        {"uri": "hf:owner/open", "arguments": {"revision": "v9"}},
    )
    assert gated == other
    assert gated["fault"] == "Denied"
    assert "is gated" in gated["says"]
    assert narrow == wrong
    assert wrong["fault"] == "Denied"
    assert "the hub does not accept the token in HF_TOKEN for it; make one" in wrong["says"]
    assert absent["says"].startswith("hf:owner/absent: no such repository, or it is private")
    assert (private["fault"], "no such repository" in private["says"]) == ("Denied", True)
    assert (none["fault"], "has the form hf:owner/name" in none["says"]) == ("BadUsage", True)
    assert (revision["fault"], "has no such revision" in revision["says"]) == ("Missing", True)
    assert all("\n" not in one["says"] for one in (gated, wrong, absent, none, revision))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_commits_data_and_a_broken_transfer(hub: Hub, tmp_path: Path) -> None:
    hub.broken = {"model.safetensors"}
    commit, data, model = calls(
        hub.origin,
        tmp_path / "home",
        {"uri": "hf:owner/chats", "commit": True, "arguments": {"what": "data"}},
        {"uri": "hf:owner/chats", "arguments": {"what": "data", "patterns": ["*.jsonl"]}},
        {"uri": "hf:owner/open", "arguments": {"target": str(tmp_path / "model")}},
    )
    assert commit == {"value": COMMIT}
    assert names(Path(data["value"])) == {"train.jsonl"}
    assert names(Path(model["value"])) == WANTED
    assert hub.sent == ["model.safetensors"] * 2
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_a_begun_folder_is_not_a_model_when_the_hub_has_gone(hub: Hub, tmp_path: Path) -> None:
    """The library alone would hand over what lies there."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes(MODEL["config.json"])
    into = {"target": str(tmp_path / "model"), "instead": "name a folder"}
    gone, looked_up = calls(
        "http://127.0.0.1:9",
        tmp_path / "home",
        {"uri": "hf:owner/open", "arguments": into},
        {"uri": "hf:owner/open", "commit": True, "arguments": {"what": "model"}},
    )
    assert gone == {
        "fault": "Missing",
        "says": "hf:owner/open: the hub cannot be reached; name a folder",
    }
    assert (
        looked_up["says"] == "hf:owner/open: the hub cannot be reached; name a local folder instead"
    )
    (done,) = calls(hub.origin, tmp_path / "home", {"uri": "hf:owner/open", "arguments": into})
    assert names(Path(done["value"])) == WANTED
