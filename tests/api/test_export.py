"""A model folder that stands alone: whole weights are copied, adapters merged onto their base."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import kollama2
from kollama2.api.adapt import _made_of, stand_alone
from kollama2.engine.graph import closure, inline, run
from kollama2.engine.store import Store
from kollama2.errors import BadData, BadUsage
from kollama2.model.folder import ModelFolder
from kollama2.stages import Source
from kollama2.study.adapt import adaptation
from tests import tiny
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


def adapted(base: str, data: Path, out: Path, mirrors: Path) -> ModelFolder:
    """What `adapt` would write, without its training."""
    store = Store(out.parent / "runs")
    made = adaptation(base, "kullm-lora", [str(data)], store=store.root, mirrors=mirrors)
    sources = [one for one in closure(made).values() if isinstance(one, Source)]
    assert run(sources, store, inline(store)).exit_code == 0
    model = base if Path(base).is_dir() else out.parent / "base"
    return stand_alone(model, out, made_of=_made_of(made, store))


def test_an_adapted_model_names_its_base_and_its_data(tmp_path: Path) -> None:
    base, data = tiny.write_model(tmp_path / "base"), tmp_path / "data"
    data.mkdir()
    for folder, licence in ((base, "mit"), (data, "cc-by-nc-4.0")):
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n", encoding="utf-8")
    rows = json.dumps([{"instruction": "하나", "input": "", "output": "둘"}] * 8)
    for file in (data / "rows.json", tmp_path / "own.json"):
        file.write_text(rows, encoding="utf-8")
    mirrors = tmp_path / "mirrors.yaml"
    mirrors.write_text(f"hf:me/base: {base}\nhf:me/data: {data}\n", encoding="utf-8")
    first = adapted("hf:me/base", "hf:me/data", tmp_path / "first", mirrors)
    again = adapted(str(first.path), tmp_path / "own.json", tmp_path / "again", mirrors)
    assert [(one.what, one.uri, one.licence) for one in again.card.made_of] == [
        ("model", "hf:me/base", "mit"),
        ("data", "hf:me/data", "cc-by-nc-4.0"),
        ("data", "file:own.json", ""),
    ]
    assert again.card.made_of[:2] == first.card.made_of
    assert all(len(one.pinned) == 64 for one in again.card.made_of)
    kollama2.export(again, tmp_path / "out", licences={"file:own.json": "mine"})
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.base_model, card.data.datasets) == ("me/base", ["me/data"])
    assert card.data.license == "mit"
    assert "hf:me/data is not for commercial use (cc-by-nc-4.0)" in card.text
    assert "| data | file:own.json |" in card.text and "| mine |" in card.text
    assert str(tmp_path) not in card.content
