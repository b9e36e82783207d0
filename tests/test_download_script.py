"""download.sh and `kollama2 download` as a user meets them, against the faulty local server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.llama.faulty_server import SECRET, Server, files, serving

REPOSITORY = Path(__file__).parent.parent
SHARD = "llama-2-7b/consolidated.00.pth"
CONTENTS = files()

pytestmark = pytest.mark.skipif(
    shutil.which("wget") is None or shutil.which("md5sum") is None, reason="needs wget and md5sum"
)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(dict(CONTENTS)) as server:
        yield server


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for the front of PATH; its df says that there is room for 7B."""
    folder = tmp_path / "tools"
    folder.mkdir()
    tool(folder, "df", "echo; echo disk 9 9 20000000 9 /")
    return folder


def tool(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


def script(link: str, models: str, target: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    return typed(f"{link}\n{models}\n", target, tools)


def typed(answers: str, target: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "TARGET_FOLDER": str(target)}
    done = subprocess.run(
        ["bash", str(REPOSITORY / "download.sh")], input=answers,
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "sEcReT" not in done.stdout + done.stderr
    return done


def finals(target: Path) -> dict[str, bytes]:
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file() and path.suffix != ".partial"
    }


def test_the_script_fetches_the_same_files_in_the_same_order(
    server: Server, tools: Path, tmp_path: Path
) -> None:
    done = script(server.link, "7B", tmp_path / "out", tools)
    assert done.returncode == 0, done.stderr
    assert server.asked == list(CONTENTS)
    assert finals(tmp_path / "out") == CONTENTS
    assert list((tmp_path / "out").rglob("*.partial")) == []
    again = script(server.link, "7B", tmp_path / "out", tools)
    assert again.returncode == 0
    assert server.asked == list(CONTENTS)


def test_the_script_continues_what_broke_off(server: Server, tools: Path, tmp_path: Path) -> None:
    server.faults = {(SHARD, 0): "short", (SHARD, 1): "403"}
    done = script(server.link, "7B", tmp_path / "out", tools)
    assert done.returncode == 77
    assert "a link works for 24 hours" in done.stderr
    assert SHARD not in finals(tmp_path / "out")
    server.signature = "Signature=another"
    new = server.link.replace(SECRET, server.signature)
    assert script(new, "7B", tmp_path / "out", tools).returncode == 0
    assert finals(tmp_path / "out") == CONTENTS
    assert server.sent[SHARD] == len(CONTENTS[SHARD])


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("403", 77, "the server refuses llama-2-7b/consolidated.00.pth"),
        ("redirect", 77, "the server refuses llama-2-7b/consolidated.00.pth"),
        ("200 html", 77, "a page instead of llama-2-7b/consolidated.00.pth"),
        ("200 xml", 77, "a page instead of llama-2-7b/consolidated.00.pth"),
        ("wrong content", 76, "it was deleted, run this again"),
    ],
)
def test_the_script_never_keeps_a_bad_file(
    fault: str, code: int, says: str, server: Server, tools: Path, tmp_path: Path
) -> None:
    server.faults[SHARD, -1] = fault
    done = script(server.link, "7B", tmp_path / "out", tools)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    found = finals(tmp_path / "out")
    assert SHARD not in found
    assert found.items() <= CONTENTS.items()
    server.faults.clear()
    assert script(server.link, "7B", tmp_path / "out", tools).returncode == 0
    assert finals(tmp_path / "out") == CONTENTS


def test_the_script_says_what_it_needs(server: Server, tools: Path, tmp_path: Path) -> None:
    done = script(server.link, "7B,8B", tmp_path / "out", tools)
    assert (done.returncode, server.asked) == (64, [])
    assert "there is no Llama 2 model '8B'; there are 7B, 13B" in done.stderr
    assert script("http://example.com/*", "", tmp_path / "out", tools).returncode == 64
    full = script(server.link, "", tmp_path / "out", tools)
    assert (full.returncode, server.asked) == (75, [])
    assert "need 358 GB and" in full.stderr
    for answers, lacking in (("", "no link was given"), ("https://a/*", "no models were named")):
        ended = typed(answers, tmp_path / "out", tools)
        assert (ended.returncode, f"download.sh: {lacking}" in ended.stderr) == (64, True)
    bare = tmp_path / "bare"
    bare.mkdir()
    tool(bare, "wget", "exit 0")
    done = subprocess.run(
        [shutil.which("bash") or "bash", str(REPOSITORY / "download.sh")],
        env={"PATH": str(bare)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 69
    assert "md5sum is not installed; install it with: sudo apt install coreutils" in done.stderr


def test_the_command_asks_the_same_two_questions(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from kollama2.llama import download\n"
        "download._GIGABYTES = dict.fromkeys(('7B', '13B', '70B'), 0.001)\n"
        "sys.argv[0] = 'kollama2'\n"
        "from kollama2.cli.app import main\n"
        "main()\n"
    )

    def start(answers: str, *options: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, "download", "-o", str(tmp_path / "out"), *options],
            input=answers, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "sEcReT" not in done.stdout + done.stderr
        return done

    wrong = start(f"{server.link}\n7b\n")
    assert (wrong.returncode, wrong.stdout) == (64, "")
    assert "kollama2: there is no Llama 2 model '7b'; did you mean 7B?" in wrong.stderr
    server.faults[SHARD, 0] = "403"
    refused = start(f"{server.link}\n7B\n")
    assert refused.returncode == 77
    assert "works for 24 hours" in refused.stderr
    done = start(f"{server.link}\n7B\n")
    assert done.returncode == 0, done.stderr
    assert "Enter the URL from email: Enter the list of models" in done.stderr
    assert done.stdout.strip() == str(tmp_path / "out" / "llama-2-7b")
    assert finals(tmp_path / "out") == CONTENTS
    hub = start("", "--from", "hub", "--models", "7B")
    assert (hub.returncode, "hf:meta-llama/Llama-2-7b-hf" in hub.stderr) == (69, True)
