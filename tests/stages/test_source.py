"""Sources outside the store: no result stands under a content that it was not made of."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from kollama2.engine.graph import inline, run
from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from kollama2.errors import Corrupt, TryLater
from kollama2.stages import Source
from kollama2.stages.source import content
from kollama2.study.locate import Locator
from kollama2.study.schema import SourceSpec


class Reads(Stage):
    """Copies what it reads; `during` happens in the midst of it."""

    kind: Literal["reads"] = "reads"
    source: Source
    during: ClassVar[Callable[[], Any]] = lambda: None

    def run(self, work: Work) -> Mapping[str, Any]:
        place = content(work.path(self.source))
        file = place if place.is_file() else place / "a.txt"
        (work.out / "copy.txt").write_text(file.read_text())
        type(self).during()
        return {}


def source(folder: Path, uri: str = "file:a.txt") -> Source:
    locator = Locator(folder, {}, folder / "runs" / "hashes.json")
    found = locator.source(SourceSpec(uri=uri), "data")
    locator.save()
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "a.txt").write_text("one")
    return Store(tmp_path / "runs")


def test_a_change_before_the_first_read(tmp_path: Path, store: Store) -> None:
    first = source(tmp_path)
    (tmp_path / "a.txt").write_text("two")
    with pytest.raises(TryLater, match=r"points at has changed since this study was read.*again"):
        store.compute(first)
    store.compute(source(tmp_path))  # the same command pins it anew


@pytest.mark.parametrize("whole", [False, True])
def test_a_change_between_two_reads(tmp_path: Path, store: Store, whole: bool) -> None:
    if whole:
        (tmp_path / "data").mkdir()
        shutil.move(tmp_path / "a.txt", tmp_path / "data" / "a.txt")
    file = tmp_path / "data" / "a.txt" if whole else tmp_path / "a.txt"
    first = source(tmp_path, "file:data" if whole else "file:a.txt")
    store.compute(first)
    file.write_text("two")
    with pytest.raises(TryLater, match="has changed since this study was read"):
        store.compute(Reads(source=first.at(None)))
    file.write_text("one")  # another time, the same content
    store.compute(Reads(source=first.at(None)))


def test_a_change_while_it_is_read(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source(tmp_path)
    store.compute(first)
    reads = Reads(source=first)
    monkeypatch.setattr(Reads, "during", lambda: (tmp_path / "a.txt").write_text("two"))
    with pytest.raises(TryLater, match="has changed since this study was read"):
        store.compute(reads)
    assert store.record(reads) is None


@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_was_moved_is_found_at_its_new_place(
    tmp_path: Path, store: Store, gone: bool
) -> None:
    first = source(tmp_path)
    store.compute(first)
    shutil.copy(tmp_path / "a.txt", tmp_path / "b.txt")
    if gone:
        (tmp_path / "a.txt").unlink()
    else:
        (tmp_path / "a.txt").write_text("two")
    moved = source(tmp_path, "file:b.txt")
    assert moved.key != first.key  # a file's name is part of what it is
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "b.txt", tmp_path / "elsewhere" / "a.txt")
    locator = Locator(tmp_path / "elsewhere", {}, tmp_path / "runs" / "hashes.json")
    again = locator.source(SourceSpec(uri="file:a.txt"), "data")
    assert again == first
    told: list[str] = []
    assert store.record(again) is None
    store.compute(again, tell=lambda what, figures: told.append(what))
    assert told == ["damaged", "started"]
    store.compute(Reads(source=again.at(None)))
    assert (store.path(Reads(source=again)) / "copy.txt").read_text() == "one"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:5],
        lambda text: text.replace(b'"', b"!", 1),
        lambda text: text.replace(b"path", b"qath"),
        lambda text: b'{"path": 7}',
        lambda text: b"[1]",
        lambda text: b"[" * 100_000,
        lambda text: b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("same_size", [False, True])
def test_a_damaged_pointer_is_found_and_made_again(
    tmp_path: Path, store: Store, damage: Callable[[bytes], bytes], same_size: bool
) -> None:
    first = source(tmp_path)
    store.compute(first)
    pointer = store.path(first) / "place.json"
    text = pointer.read_bytes()
    damaged = damage(text)
    pointer.write_bytes(damaged.ljust(len(text))[: len(text)] if same_size else damaged)
    with pytest.raises(Corrupt, match=r"place.json|differs"):
        content(store.path(first))
    assert store.record(first) is None
    told: list[str] = []
    store.compute(first, tell=lambda what, figures: told.append(what))
    assert told == ["damaged", "started"]
    assert pointer.read_bytes() == text
    pointer.write_bytes(damaged)
    outcome = run([Reads(source=first)], store, inline(store))
    assert (outcome.exit_code, pointer.read_bytes()) == (0, text)
