"""Where sources lie and what they are known by."""

import errno
import os
from pathlib import Path

import pytest

from kollama2.engine import commit
from kollama2.engine.hashes import Hashes
from kollama2.errors import BadData, BadUsage, Denied
from kollama2.study.locate import Locator
from kollama2.study.schema import SourceSpec

PAIRS = SourceSpec(uri="file:news.ko", form="pairs")


def write(folder: Path, english: str, korean: str) -> Locator:
    (folder / "news.en").write_text(english, encoding="utf-8")
    (folder / "news.ko").write_text(korean, encoding="utf-8")
    return Locator(folder, {}, folder / "hashes.json")


def test_two_aligned_files_are_one_source(tmp_path: Path) -> None:
    first = write(tmp_path, "Go.\nRun.\n", "가.\n뛰어.\n").source(PAIRS, "data")
    locator = write(tmp_path, "Go.\nRun!\n", "가.\n뛰어.\n")
    second = locator.source(PAIRS, "data")
    assert first.key != second.key  # the English side counts too
    assert second.place == tmp_path / "news.ko"
    locator.save()
    assert Locator(tmp_path, {}, tmp_path / "hashes.json").source(PAIRS, "data") == second
    # As text the Korean file stands alone.
    text = SourceSpec(uri="file:news.ko", form="text")
    plain = locator.source(text, "data")
    write(tmp_path, "Go.\n", "가.\n뛰어.\n")
    assert locator.source(text, "data") == plain


def test_files_of_unequal_length_are_refused_before_anything_runs(tmp_path: Path) -> None:
    locator = write(tmp_path, "Go.\nRun.\nNo.\n", "가.\n뛰어.\n")
    with pytest.raises(BadData, match="not aligned: 2 lines in the shorter, 3 in the longer"):
        locator.source(PAIRS, "data")


def test_columns_and_pipes_are_refused_before_anything_runs(tmp_path: Path) -> None:
    locator = write(tmp_path, "Go.\n", "가.\n")
    twice = {"instruction": "a", "output": "a"}
    with pytest.raises(BadUsage, match="columns give 'a' to instruction and output"):
        locator.source(SourceSpec(uri="file:news.ko", columns=twice), "data")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadData, match="pipe is a pipe, which cannot be read twice"):
        locator.source(SourceSpec(uri="file:pipe"), "data")


@pytest.mark.parametrize("content", ["", '{"a', "[1]", '{"a": 1}', "\xff", "[" * 100_000])
def test_a_damaged_cache_of_hashes_is_made_again_in_silence(tmp_path: Path, content: str) -> None:
    sound = write(tmp_path, "Go.\n", "가.\n")
    found = sound.source(PAIRS, "data")
    sound.save()
    cache = tmp_path / "hashes.json"
    remembered = cache.read_text()
    cache.write_text(content, encoding="latin-1")
    again = Locator(tmp_path, {}, cache)
    assert again.source(PAIRS, "data") == found
    again.save()
    assert cache.read_text() == remembered


def test_a_change_within_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    locator = write(tmp_path, "Go.\n", "가.\n")
    spec = SourceSpec(uri="file:news.ko", form="text")
    file = tmp_path / "news.ko"
    before, first = file.stat(), locator.source(spec, "data")
    file.write_text("나.\n", encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = locator.source(spec, "data")
    assert second != first
    other = tmp_path / "other"
    other.write_text("다.\n", encoding="utf-8")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert locator.source(spec, "data") not in (first, second)


def test_a_cache_that_cannot_be_written_changes_no_answer(tmp_path: Path) -> None:
    locator = write(tmp_path, "Go.\n", "가.\n")
    found = locator.source(PAIRS, "data")
    (tmp_path / "file").write_text("")
    unwritable = Locator(tmp_path, {}, tmp_path / "file" / "hashes.json")
    assert unwritable.source(PAIRS, "data") == found
    unwritable.save()


def test_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "secret").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("나무")
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Denied, match=r"secret may not be written or read; check its permissions"):
        Locator(tmp_path, {}, tmp_path / "hashes.json").source(SourceSpec(uri="file:data"), "data")


def test_a_source_that_holds_the_store_would_change_with_each_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("가")
    inside = Locator(tmp_path, {}, tmp_path / "data/runs/hashes.json")
    with pytest.raises(BadUsage, match=r"^file:data: .*data holds the store .*data/runs, so that"):
        inside.source(SourceSpec(uri="file:data"), "data")
    Locator(tmp_path, {}, tmp_path / "runs/hashes.json").source(SourceSpec(uri="file:data"), "data")


def test_a_file_is_read_once_a_process_also_where_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "a.txt", list[Path]()
    file.write_text("one", encoding="utf-8")
    real = commit.sha256
    monkeypatch.setattr(commit, "sha256", lambda path: read.append(path) or real(path))
    monkeypatch.setattr(commit, "_TICK_NS", 0)
    first, second = (Hashes(tmp_path / "none.json").of(file) for _ in range(2))
    assert (first == second, read) == (True, [file])
    file.write_text("two", encoding="utf-8")
    assert Hashes(tmp_path / "none.json").of(file) != first
