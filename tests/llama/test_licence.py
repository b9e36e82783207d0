"""Whoever uses Llama 2, or what was made of it, is told its licence; nobody else is."""

import json
from pathlib import Path

import pytest

from kollama2.llama.licence import NOTICE, notice
from kollama2.model.find import BUILTIN

SEVEN = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "max_position_embeddings": 4096, "vocab_size": 32000,
}  # fmt: skip


def model(folder: Path, **changed: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**SEVEN, **changed}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("mine", {}, True),
        ("mine", {"vocab_size": 46336}, True),
        ("mine", {"hidden_size": 5120, "num_hidden_layers": 40}, True),
        ("mine", {"hidden_size": 64}, False),
        ("Llama-2-7b-chat-hf", {"hidden_size": 64}, True),
        ("beomi-llama2-ko", {"hidden_size": 64}, True),
        ("Llama-3.2-1B", {"hidden_size": 2048, "num_hidden_layers": 16}, False),
        ("of another family", {"model_type": "mistral"}, False),
        ("with other words", {"vocab_size": 64000}, False),
        ("of the first Llama", {"max_position_embeddings": 2048}, False),
    ],
)
def test_a_model_by_its_name_and_shape(
    tmp_path: Path, name: str, changed: dict[str, object], told: bool
) -> None:
    assert notice(str(model(tmp_path / name, **changed))) == (NOTICE if told else None)


def test_an_adapter_by_its_base(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"base_model_name_or_path": str(base), "peft_type": "LORA"}
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert notice(str(adapter)) == NOTICE


def test_the_miniature_is_none() -> None:
    assert notice(next(iter(BUILTIN))) is None
    assert "Acceptable Use Policy" in NOTICE
