"""`kollama2 schema`: to stdout, or into a file."""

import json
from pathlib import Path

import pytest

from kollama2.cli.schema import schema
from kollama2.errors import StorageTrouble
from kollama2.study.json_schema import json_schema


def test_it_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema()
    assert json.loads(capsys.readouterr().out) == json_schema("study")
    schema("profile", tmp_path / "profile.json")
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "profile.json").read_text()) == json_schema("profile")
    with pytest.raises(StorageTrouble):
        schema("study", tmp_path / "profile.json" / "study.json")
