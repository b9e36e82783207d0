"""Where sources lie and what they are known by."""

from pathlib import Path

import pytest

from kollama2.errors import BadData
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
