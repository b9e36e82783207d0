"""Records of other versions and damaged ones."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2 import __version__
from kollama2.engine.store import Store
from kollama2.errors import Corrupt, Missing
from kollama2.records.done import Done, Evaluation
from kollama2.records.lock import Lock
from kollama2.records.read import Json, part, read, read_lines
from tests.engine.fakes import Corpus

CORPUS = Corpus(text="나무")
DONE = {"name": "a-1", "kind": "a", "key": "1", "metrics": {"b": 1}, "seconds": 2.5}
CELL = {"recipe": "base", "seed": 0, "suite": "quick", "base": True, "evaluate": "evaluate-1",
        "model": "source-1", "path": ["source-1"]}  # fmt: skip
LOCK = {"study": "s", "kollama2": "0.0.9", "primary": "t/bpb", "english": None, "suites": {},
        "seeds": [0], "cells": [CELL]}  # fmt: skip


def test_more_fields_are_no_damage_and_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "done.json"
    whole = {**DONE, "kollama2": "0.0.9", "more": {"of": [1, None]}}
    file.write_text(json.dumps(whole))
    found = read(file, Done)
    assert found.plain() == whole
    assert (found.metrics, found.gpus, found.peak_gpu_memory_bytes) == ({"b": 1}, [], None)


@pytest.mark.parametrize("lacking", DONE)
def test_a_field_that_is_lacking_is_said(tmp_path: Path, lacking: str) -> None:
    file = tmp_path / "done.json"
    file.write_text(json.dumps({name: one for name, one in DONE.items() if name != lacking}))
    with pytest.raises(Corrupt) as caught:
        read(file, Done)
    assert str(caught.value) == (
        f"{file} has no field '{lacking}'; remove the folder {tmp_path} and run the study again"
    )


def test_a_part_is_checked_where_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "done.json"
    metrics = {"scores": {"t/bpb": 1, "t/gain": None}, "suite": "ab", "counts": {"t": {"odd": 3}}}
    found = part(file, metrics, Evaluation)
    assert found.scores["t/bpb"] == 1.0 and math.isnan(found.scores["t/gain"])
    assert (found.counts["t"].failed, found.counts["t"].plain()) == (0, {"odd": 3})
    with pytest.raises(Corrupt, match=r"done\.json has 'scores\.t/bpb' as it should not be \(In"):
        part(file, {**metrics, "scores": {"t/bpb": "much"}}, Evaluation)


def test_a_file_of_a_newer_version_names_both(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text(json.dumps({**LOCK, "kollama2": "10.2.0", "more": 1}))
    assert read(file, Lock).kollama2 == "10.2.0"
    file.write_text(json.dumps({**LOCK, "kollama2": "10.2.0", "cells": [{**CELL, "seed": "two"}]}))
    with pytest.raises(Missing, match=r"for which it has 'cells\.0\.seed' as it should not be \("):
        read(file, Lock)
    lacking = {name: one for name, one in LOCK.items() if name != "seeds"}
    file.write_text(json.dumps({**lacking, "kollama2": "10.2.0"}))
    with pytest.raises(Missing) as caught:
        read(file, Lock)
    assert str(caught.value) == (
        f"{file} was written by kollama2 10.2.0 and cannot be read by this kollama2 {__version__}, "
        "for which it has no field 'seeds'; install 10.2.0, or name another store"
    )


@pytest.mark.parametrize("kind", [Json, Lock])
@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000])
def test_what_is_no_object_is_said_with_what_helps(tmp_path: Path, text: str, kind: type) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(Corrupt, match=r"study\.json .*; move it away and run the study again$"):
        read(tmp_path / "study.json", kind)


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", "/etc"])
def test_a_lock_names_no_folder_but_those_of_its_store(tmp_path: Path, name: str) -> None:
    file = tmp_path / "study.json"
    for field in ("evaluate", "model", "contamination"):
        file.write_text(json.dumps({**LOCK, "cells": [{**CELL, field: name}]}))
        with pytest.raises(Corrupt, match=rf"has 'cells\.0\.{field}' as it should not be"):
            read(file, Lock)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_lines_come_back(tmp_path_factory: pytest.TempPathFactory, line: Json) -> None:
    file = tmp_path_factory.mktemp("lines") / "a.jsonl"
    file.write_text(json.dumps(line) + "\n" + json.dumps(line) + "\n", encoding="utf-8")
    assert list(read_lines(file)) == [line, line]


def test_the_advice_for_a_damaged_record_helps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.compute(CORPUS)
    file = store.path(CORPUS) / "done.json"
    file.write_bytes(b"?" * file.stat().st_size)  # of the right size, so it looks finished
    with pytest.raises(Corrupt, match=rf"remove the folder {file.parent} and run"):
        list(store.records())
    for each in file.parent.iterdir():
        each.unlink()
    file.parent.rmdir()
    store.compute(CORPUS)
    assert [record.name for record in store.records()] == [CORPUS.name]
