import io
import urllib.error
import urllib.request
import zipfile
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import Missing
from kollama2.stages import github
from kollama2.stages.github import fetch


def served(monkeypatch: pytest.MonkeyPatch, content: bytes | Exception) -> list[str]:
    asked: list[str] = []

    def urlopen(address: str, **_: Any) -> io.BytesIO:
        asked.append(address)
        if isinstance(content, Exception):
            raise content
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def test_a_file_is_fetched_at_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = served(monkeypatch, "여우".encode())
    path = fetch("github:owner/name/data/a.tsv", "c0ffee", tmp_path)
    assert path.read_text(encoding="utf-8") == "여우"
    assert asked == ["https://raw.githubusercontent.com/owner/name/c0ffee/data/a.tsv"]


def test_a_path_may_go_into_an_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sets/ko.csv", "a,b\n")
    asked = served(monkeypatch, packed.getvalue())
    path = fetch("github:owner/name/sets.zip/sets/ko.csv", "c0ffee", tmp_path)
    assert (path.name, path.read_text()) == ("ko.csv", "a,b\n")
    assert asked[0].endswith("/c0ffee/sets.zip")
    with pytest.raises(Missing, match=r"the archive holds no file 'sets/en.csv'"):
        fetch("github:owner/name/sets.zip/sets/en.csv", "c0ffee", tmp_path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no network"), "GitHub cannot be reached"),
        (urllib.error.HTTPError("", 404, "", None, None), "GitHub answers 404 at commit c0ffee"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_fetched_names_the_mirror(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, message: str
) -> None:
    served(monkeypatch, error)
    with pytest.raises(Missing, match=f"{message}.*github:owner/name/a.tsv: path/to/copy"):
        fetch("github:owner/name/a.tsv", "c0ffee", tmp_path)


def test_what_is_too_large_packed_or_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(github, "_LARGEST", 10_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", bytes(1_000_000))
    served(monkeypatch, packed.getvalue())
    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("nothing is unpacked"))
        with pytest.raises(Missing, match="GitHub sends more than 10,000 bytes of it; name a"):
            fetch("github:owner/name/sets.zip/bomb.csv", "c0ffee", tmp_path)
    served(monkeypatch, packed.getvalue() + bytes(10_000))
    with pytest.raises(Missing, match="GitHub sends more than 10,000 bytes of it; name a local"):
        fetch("github:owner/name/sets.zip/bomb.csv", "c0ffee", tmp_path)
    served(monkeypatch, bytes(10_001))
    with pytest.raises(Missing, match="GitHub sends more than 10,000 bytes of it; name a local"):
        fetch("github:owner/name/a.tsv", "c0ffee", tmp_path)
    served(monkeypatch, IncompleteRead(b"x", 9))
    with pytest.raises(Missing, match="GitHub cannot be reached"):
        fetch("github:owner/name/a.tsv", "c0ffee", tmp_path)
