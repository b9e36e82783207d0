"""Records of other versions and damaged ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2 import __version__
from kollama2.engine.record import read_object
from kollama2.engine.store import Store
from kollama2.errors import Corrupt, Missing
from tests.engine.fakes import Corpus

CORPUS = Corpus(text="나무")


def rewrite(file: Path, **fields: Any) -> None:
    """Change fields of a JSON file; None removes one."""
    value = {**json.loads(file.read_text(encoding="utf-8")), **fields}
    kept = {name: one for name, one in value.items() if one is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")


def test_more_fields_are_no_damage_and_a_lacking_one_is_said(tmp_path: Path) -> None:
    file = tmp_path / "done.json"
    file.write_text('{"a": {"b": 1}, "c": [{"d": 2}], "kollama2": "0.0.9"}')
    found = read_object(file)
    assert found == {"a": {"b": 1}, "c": [{"d": 2}], "kollama2": "0.0.9"}
    assert found.get("e") is None
    says = rf"done.json has no field 'e'; remove the folder {tmp_path} and run the study again"
    for lacking in (found, found["a"], found["c"][0]):
        with pytest.raises(Corrupt, match=says):
            lacking["e"]


def test_a_file_of_a_newer_version_names_both(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text('{"kollama2": "10.2.0"}')
    with pytest.raises(Missing) as caught:
        read_object(file)["cells"]
    assert str(caught.value) == (
        f"{file} was written by kollama2 10.2.0 and cannot be read by this kollama2 {__version__}, "
        "for which it has no field 'cells'; install 10.2.0, or name another store"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000])
def test_what_is_no_object_is_said_with_what_helps(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(Corrupt, match=r"study\.json .*; move it away and run the study again$"):
        read_object(tmp_path / "study.json")


def test_the_advice_for_a_damaged_recipe_helps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.compute(CORPUS)
    file = store.path(CORPUS) / "stage.json"
    file.write_bytes(b"?" * file.stat().st_size)  # of the right size, so it looks finished
    with pytest.raises(Corrupt, match=rf"remove the folder {file.parent} and run"):
        list(store.records())
    for each in file.parent.iterdir():
        each.unlink()
    file.parent.rmdir()
    store.compute(CORPUS)
    assert [record["stage"] for record in store.records()] == [CORPUS.recipe()]
