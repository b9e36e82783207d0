"""The download against a local server with the faults that real links and servers have."""

import hashlib
import logging
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import BadData, BadUsage, Corrupt, Denied, Fault, Missing, TryLater
from kollama2.llama import checklist, download, fetch
from tests.llama.faulty_server import SECRET, Server, files, serving, sums

SHARD = "llama-2-7b/consolidated.00.pth"
CONTENTS = files()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_GIGABYTES", {"7B": 1e-3, "13B": 1e-3, "70B": 1e-3})
    monkeypatch.setattr(download, "_SHARD_LIMIT", 1_000_000)
    with serving(dict(CONTENTS)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_secret_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"sEcReT" not in path.read_bytes(), path
    assert "sEcReT" not in "".join(capfd.readouterr())
    assert "sEcReT" not in caplog.text


def get(server: Server, target: Path, **options: Any) -> None:
    options = {"patience": 0.5, "pause": 0.01} | options
    download.download(options.pop("link", server.link), ["7B"], target, **options)


def finals(target: Path) -> dict[str, bytes]:
    """Every file under a final name."""
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file() and ".partial" not in path.name
    }


def test_the_files_in_their_order_and_a_second_time_none(server: Server, tmp_path: Path) -> None:
    heard = list[tuple[str, int, int | None]]()
    get(server, tmp_path, heard=lambda *told: heard.append(told))
    assert server.asked == list(CONTENTS)
    assert finals(tmp_path) == CONTENTS
    assert sorted(path.name for path in tmp_path.rglob("*.partial*")) == []
    size = len(CONTENTS["llama-2-7b/checklist.chk"])
    assert heard[-1] == ("llama-2-7b/checklist.chk", size, size)
    get(server, tmp_path)
    assert server.asked == list(CONTENTS)


def test_all_models_and_their_shards(server: Server, tmp_path: Path) -> None:
    for model, shards in {"13b": 2, "70b": 8, "7b-chat": 1, "13b-chat": 2, "70b-chat": 8}.items():
        server.contents |= files(f"llama-2-{model}", shards)
    download.download(server.link, download.chosen(""), tmp_path, pause=0.01)
    assert len(list(tmp_path.rglob("*.pth"))) == 22
    assert finals(tmp_path) == server.contents
    assert server.asked[4:] == [
        name
        for model in ("7b", "13b", "70b", "7b-chat", "13b-chat", "70b-chat")
        for name in server.contents
        if name.startswith(f"llama-2-{model}/")
    ]


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("403", Denied, "works for 24 hours and a limited number of downloads. Request a new one"),
        ("200 html", Denied, "the server refuses llama-2-7b/consolidated.00.pth"),
        ("200 xml", Denied, "the server refuses llama-2-7b/consolidated.00.pth"),
        ("redirect", Denied, "to http://example.com/llama-2-7b/consolidated.00.pth, which is not"),
        ("500", TryLater, "the server answered 500; the 0 bytes that came are kept"),
        ("silence", TryLater, "the server stopped sending; the 0 bytes that came are kept"),
        ("range wrong", TryLater, "ended the transfer early|the connection broke"),
        ("endless", Missing, "sends more than the 1,000,000 bytes that llama-2-7b/consolidated"),
        ("huge", Missing, "sends more than the 1,000,000 bytes that llama-2-7b/consolidated"),
        ("no number", TryLater, "could not be fetched"),
        ("long number", TryLater, "could not be fetched"),
        ("not modified", Missing, "the server answered 304"),
        ("no place", Denied, "to what is no address, which is not https"),
        ("wrong content", Corrupt, "with the MD5 .* demands .*; it was deleted, give the same"),
    ],
)
def test_a_fault_that_stays_is_one_sentence_and_no_bad_file(
    fault: str, kind: type[Fault], says: str, server: Server, tmp_path: Path
) -> None:
    server.faults[SHARD, -1] = fault
    with pytest.raises(kind, match=says) as error:
        get(server, tmp_path)
    assert server.sent.get(SHARD, 0) < 20_000_000
    assert "\n" not in str(error.value)
    assert "sEcReT" not in "".join(traceback.format_exception(error.value))
    found = finals(tmp_path)
    assert SHARD not in found
    assert found.items() <= CONTENTS.items()
    # Once the fault has gone, the same call finishes.
    server.faults.clear()
    get(server, tmp_path)
    assert finals(tmp_path) == CONTENTS


@pytest.mark.parametrize("fault", ["short", "stall", "500"])
def test_a_passing_fault_is_continued_and_no_byte_is_fetched_twice(
    fault: str, server: Server, tmp_path: Path
) -> None:
    server.faults = {(SHARD, 0): fault, (SHARD, 1): fault}
    get(server, tmp_path)
    assert finals(tmp_path) == CONTENTS
    assert server.sent[SHARD] == len(CONTENTS[SHARD])


def test_a_link_that_expires_midway_is_continued_with_the_new_one(
    server: Server, tmp_path: Path
) -> None:
    server.faults = {(SHARD, 0): "short", (SHARD, 1): "403"}
    with pytest.raises(Denied, match="what was fetched is kept and continued"):
        get(server, tmp_path)
    kept = (tmp_path / f"{SHARD}.partial").stat().st_size
    assert kept > 100_000
    server.signature = "Signature=another"
    with pytest.raises(Denied):  # the old link does not work any more
        get(server, tmp_path)
    assert (tmp_path / f"{SHARD}.partial").stat().st_size == kept
    get(server, tmp_path, link=server.link.replace(SECRET, "Signature=another"))
    assert finals(tmp_path) == CONTENTS
    assert server.sent[SHARD] == len(CONTENTS[SHARD])


def test_a_server_that_ignores_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.faults = {(SHARD, 0): "short", (SHARD, 1): "range ignored"}
    get(server, tmp_path)
    assert finals(tmp_path) == CONTENTS


def test_a_byte_a_try_is_no_progress_for_ever(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_ALL_TRIES", 30)
    monkeypatch.setattr(fetch.Fetcher, "_chunks", lambda *_: iter([b"P"]))
    server.contents["LICENSE"] = b"P" * 200
    with pytest.raises(TryLater, match="the 30 bytes that came are kept"):
        get(server, tmp_path, pause=0)
    assert server.asked == ["LICENSE"] * 30


def test_a_server_that_drips_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunks(*_: object) -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.01)
            yield b"P"

    monkeypatch.setattr(fetch, "_TRIES", 1)
    monkeypatch.setattr(fetch.Fetcher, "_chunks", chunks)
    server.contents["LICENSE"] = b"P" * 200
    with pytest.raises(TryLater, match="the server sends less than 1,000 bytes a second"):
        get(server, tmp_path, patience=0.1)


def test_content_that_changes_midway_is_never_mixed(server: Server, tmp_path: Path) -> None:
    server.faults = {(SHARD, 0): "short"}
    other = b"PK\x03\x04" + b"new" * 100_000
    weights = {SHARD: other, "llama-2-7b/params.json": CONTENTS["llama-2-7b/params.json"]}

    def change(name: str, *_: object) -> None:
        if name == SHARD and SHARD not in server.tags:
            server.contents |= files() | weights
            server.contents["llama-2-7b/checklist.chk"] = sums(weights, list(weights))
            server.tags[SHARD] = '"two"'

    get(server, tmp_path, heard=change)
    assert finals(tmp_path)[SHARD] == other


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=900_000))
    with pytest.raises(TryLater, match=r"7B need 0.0 GB more and the disk of .* has 0.0 GB left"):
        get(server, tmp_path)
    assert server.asked == []
    monkeypatch.setattr(download, "_GIGABYTES", {"7B": 1e-9})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200_000))
    with pytest.raises(TryLater, match="needs 300,004 bytes more and the disk of"):
        get(server, tmp_path)
    assert SHARD not in finals(tmp_path)


def test_the_disk_fills_while_it_writes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunks(*_: object) -> Iterator[bytes]:
        yield b"x"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.Fetcher, "_chunks", chunks)
    with pytest.raises(TryLater, match=r"the disk of .*LICENSE\.partial is full"):
        get(server, tmp_path)
    assert finals(tmp_path) == {}


@pytest.mark.parametrize("text", [b"<html>403</html>", b"", b"0" * 32 + b"  ../params.json\n"])
def test_a_checklist_that_is_none(text: bytes, server: Server, tmp_path: Path) -> None:
    server.contents["llama-2-7b/checklist.chk"] = text
    with pytest.raises((BadData, Denied)):
        get(server, tmp_path)
    assert not any(name.startswith("llama-2-7b/") for name in finals(tmp_path))
    server.contents["llama-2-7b/checklist.chk"] = CONTENTS["llama-2-7b/checklist.chk"]
    get(server, tmp_path)
    assert finals(tmp_path) == CONTENTS
    assert server.sent[SHARD] == len(CONTENTS[SHARD])


def test_a_file_that_was_damaged_later_is_found(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    (tmp_path / SHARD).write_bytes(b"PK damaged")
    with pytest.raises(Corrupt, match=r"consolidated\.00\.pth came with the MD5"):
        get(server, tmp_path)
    assert SHARD not in finals(tmp_path)
    get(server, tmp_path)
    assert finals(tmp_path) == CONTENTS


def test_a_missing_file_and_a_server_that_is_not_there(server: Server, tmp_path: Path) -> None:
    del server.contents[SHARD]
    with pytest.raises(Missing, match=r"the server has no llama-2-7b/consolidated.*; is the link"):
        get(server, tmp_path)
    with pytest.raises(TryLater, match="the server cannot be reached"):
        get(server, tmp_path / "other", link=f"http://127.0.0.1:9/*?{SECRET}")


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("", "must begin with https://"),
        (f"ftp://example.com/*?{SECRET}", "must begin with https://"),
        (f"http://example.com/*?{SECRET}", "must begin with https://"),
        (f"https://example.com/x?{SECRET}", r"has no \* for the name of the file"),
    ],
)
def test_a_link_that_is_none(link: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=says) as error:
        download.download(link, ["7B"], tmp_path / "out")
    assert "sEcReT" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_names_of_models() -> None:
    assert download.chosen("") == list(download.SHARDS)
    assert download.chosen("7B-chat,7B, 7B") == ["7B-chat", "7B"]
    with pytest.raises(BadUsage, match="no Llama 2 model '7b'; did you mean 7B"):
        download.chosen("7b")
    with pytest.raises(BadUsage, match="no Llama 2 model 'x'; there are 7B, 13B, 70B"):
        download.chosen("7B,x")
    assert download.hub_id("70B-chat") == "meta-llama/Llama-2-70b-chat-hf"
    assert download.hub_id("7B") == "meta-llama/Llama-2-7b-hf"


def test_checklists(tmp_path: Path) -> None:
    content = b"some weights"
    (tmp_path / "a b.pth").write_bytes(content)
    digest = hashlib.md5(content).hexdigest()
    (tmp_path / "checklist.chk").write_text(f"{digest.upper()} *a b.pth\r\n\n")
    assert checklist.read(tmp_path / "checklist.chk") == {"a b.pth": digest}
    checklist.verify(tmp_path)
    (tmp_path / "a b.pth").unlink()
    with pytest.raises(Corrupt, match="is missing though checklist"):
        checklist.verify(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checklist.chk"]
