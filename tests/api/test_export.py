"""A model folder that stands alone: whole weights are copied, adapters merged onto their base."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

import kollama2
from kollama2.errors import BadData, BadUsage
from kollama2.model.folder import ModelFolder
from tests.chat_folders import write_adapter, write_folder


def test_whole_weights_are_copied(tmp_path: Path) -> None:
    model = kollama2.export("builtin:miniature", tmp_path / "model")
    assert model.folder == tmp_path / "model"
    again = kollama2.export(ModelFolder.read(model.folder), tmp_path / "again")
    first, second = (
        {one.name: one.read_bytes() for one in at.folder.iterdir()} for at in (model, again)
    )
    assert {name for name in first if first[name] != second.get(name)} == {
        "MANIFEST.json", "README.md",
    }  # fmt: skip
    assert "model.safetensors" in first


def test_an_adapter_is_merged_onto_its_base_or_another(tmp_path: Path) -> None:
    base, other = write_folder(tmp_path / "base"), write_folder(tmp_path / "other")
    write_adapter(base, tmp_path / "adapter", named=str(base))
    weights = [
        load_file(kollama2.export(tmp_path / "adapter", tmp_path / name, onto=onto).folder
                  / "model.safetensors")
        for name, onto in (("own", None), ("named", base), ("elsewhere", other))
    ]  # fmt: skip
    plain = load_file(base / "model.safetensors")
    assert all(weights[0][name].equal(weights[1][name]) for name in plain)
    assert any(not weights[0][name].equal(plain[name]) for name in plain)
    with pytest.raises(BadUsage, match="--onto is for adapters"):
        kollama2.export(base, tmp_path / "no", onto=other)


def test_what_is_no_model_is_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="empty holds no weights"):
        kollama2.export(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(BadUsage, match="nowhere"):
        kollama2.export(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(BadUsage, match="is not empty"):
        kollama2.export("builtin:miniature", tmp_path)
    assert not (tmp_path / "out").exists()
