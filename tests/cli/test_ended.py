"""Ended from outside: what signals, kills and limits leave of a command that writes a folder."""

import json
import random
import resource
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from kollama2.api.places import check_new
from kollama2.engine.leftovers import leftovers
from kollama2.errors import StorageTrouble
from kollama2.llama.convert import to_hugging_face as to_hf
from kollama2.llama.convert import to_meta
from kollama2.miniature import base
from tests.engine.test_lease import dead_pid


def command(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "kollama2", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup hands down its own
    )  # fmt: skip


@cache
def text() -> str:
    """Forty thousand lines of words of three syllables."""
    draw = random.Random(0)
    words = ["".join(chr(draw.randrange(0xAC00, 0xD7A4)) for _ in range(3)) for _ in range(2_000)]
    return "\n".join(" ".join(draw.choices(words, k=40)) for _ in range(40_000))


@pytest.fixture
def endless(tmp_path: Path) -> "subprocess.Popen[str]":
    """A cleaning that has begun to write and has far to go."""
    (tmp_path / "in.txt").write_text(text(), encoding="utf-8")
    process = command("data", "clean", "in.txt", "-o", "out", folder=tmp_path)
    for _ in range(300):
        if (tmp_path / "in.txt").exists() and any(tmp_path.glob(".out.partial-*/corpus.jsonl")):
            break
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_sentence_and_leaves_nothing(
    endless: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    endless.send_signal(number)
    _, said = endless.communicate(timeout=30)
    assert (endless.returncode, said) == (
        75,
        f"kollama2: ended by {number.name}; nothing finished is lost and the same command "
        "continues\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_the_next_run_removes_what_a_kill_left(
    endless: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert leftovers(tmp_path) == []  # somebody works on it
    listed = command("gc", folder=tmp_path).communicate(timeout=30)
    assert listed == ("", "0 folders, 0.0 MB could be deleted with --delete\n")
    endless.kill()
    endless.communicate()
    (left,) = leftovers(tmp_path)
    assert left.name.startswith(".out.partial-")
    listed = command("gc", folder=tmp_path).communicate(timeout=30)
    assert left.name in listed[0]
    (tmp_path / "in.txt").unlink()
    (tmp_path / "in.txt").write_text("나무는 숲에 산다. " * 40, encoding="utf-8")
    elsewhere = tmp_path / ".out.partial-00000001"
    elsewhere.mkdir()
    owner = json.dumps({"host": "far", "boot": "", "space": "", "pid": dead_pid(), "ticks": 1})
    (tmp_path / ".out.partial-00000001.owner").write_text(owner, encoding="utf-8")
    again = command("data", "clean", "in.txt", "-o", "out", folder=tmp_path)
    assert again.communicate(timeout=30)[1] == ""
    assert {path.name for path in tmp_path.iterdir()} == {
        "in.txt", "out", ".out.partial-00000001", ".out.partial-00000001.owner",
    }  # fmt: skip


@pytest.mark.parametrize("to", ["meta", "hf"])
def test_a_limit_of_file_size_is_one_sentence(tmp_path: Path, to: str) -> None:
    place = base.FOLDER
    if to == "hf":
        place = tmp_path / "meta"
        to_meta(base.FOLDER, place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StorageTrouble, match="too large; raise the limit") as caught:
            to_meta(place, tmp_path / "out") if to == "meta" else to_hf(place, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path != place] == []


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for place in (tmp_path / "file" / "out", tmp_path / ("x" * 300), Path("/proc/none/out")):
        with pytest.raises(StorageTrouble):
            check_new(place)
    check_new(tmp_path / "new" / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "new"}
