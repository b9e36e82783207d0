"""A model folder: base, tokenizer, BOS, stop ids and template are decided once."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import BadData
from kollama2.model.card import Card, Vocabulary, read_card, write_card
from kollama2.model.folder import ModelFolder
from tests import tiny
from tests.jsons import change


def write(folder: Path, name: str, **tree: Any) -> None:
    (folder / name).write_text(json.dumps(tree), encoding="utf-8")


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def byte_level(folder: Path, *names: str, bos: str | None = None) -> None:
    """A byte-level BPE tokenizer with control tokens, which puts `bos` in front, if anything."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=370, initial_alphabet=alphabet, show_progress=False)
    fast.train_from_iterator((tiny.ENGLISH + tiny.KOREAN) * 9, trainer)
    fast.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    if bos is not None:
        fast.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, fast.token_to_id(bos))]
        )
    (folder / "tokenizer.model").unlink()
    fast.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("says", "adds", "expected"),
    [
        # Qwen: no BOS, whatever config.json says.
        ({"bos_token": None}, None, None),
        # GPT-NeoX and SmolLM2 name one that the tokenizer does not add.
        ({"bos_token": "<|endoftext|>"}, None, None),
        # Llama 3: what the tokenizer itself adds.
        ({"bos_token": "<|begin|>"}, "<|begin|>", 1),
        ({"bos_token": "<|begin|>", "add_bos_token": False}, "<|begin|>", None),
        ({"bos_token": "<|begin|>", "add_bos_token": True}, None, 1),
    ],
)
def test_bos_is_what_the_tokenizer_adds(
    says: dict[str, Any], adds: str | None, expected: int | None, folder: Path
) -> None:
    byte_level(folder, "<|endoftext|>", "<|begin|>", bos=adds)
    change(folder / "config.json", bos_token_id=370)
    generic = "PreTrainedTokenizerFast"
    write(
        folder, "tokenizer_config.json", eos_token="<|endoftext|>", tokenizer_class=generic, **says
    )
    tokenizer = ModelFolder.read(folder).tokenizer
    assert tokenizer.bos_id == (None if expected is None else 370 + expected)
    assert ModelFolder.read(folder).encoder("kullm").text("a").ids[-1] == tokenizer.eos_id == 370


def test_sentencepiece_begins_unless_it_says_otherwise(folder: Path) -> None:
    assert ModelFolder.read(folder).tokenizer.bos_id == 1
    for says, expected in (
        ({"bos_token": "<s>", "eos_token": "</s>"}, 1),
        ({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}, None),
        ({"bos_token": None, "eos_token": "</s>"}, None),
        ({}, 1),
    ):
        write(folder, "tokenizer_config.json", **says)
        assert ModelFolder.read(folder).tokenizer.bos_id == expected


def test_stop_ids_are_those_of_all_three_files(folder: Path) -> None:
    assert ModelFolder.read(folder).stop_ids == (2,)
    change(folder / "config.json", eos_token_id=[2, 7])
    write(folder, "generation_config.json", eos_token_id=[9, 5])
    assert ModelFolder.read(folder).stop_ids == (2, 5, 7, 9)
    change(folder / "config.json", eos_token_id=None, text_config={"eos_token_id": 11})
    assert ModelFolder.read(folder).stop_ids == (2, 5, 9, 11)


def test_the_end_of_a_turn_in_the_template_is_a_stop(folder: Path) -> None:
    """A folder whose configuration forgot it would never stop (Phi, Gemma)."""
    byte_level(folder, "<|endoftext|>", "<end_of_turn>")
    jinja = "{% for m in messages %}{{ m.role + ': ' + m.content + '<end_of_turn>' }}{% endfor %}"
    write(folder, "tokenizer_config.json", eos_token="<|endoftext|>", chat_template=jinja)
    change(folder / "config.json", eos_token_id=370)
    change(folder / "generation_config.json", eos_token_id=370)
    assert ModelFolder.read(folder).stop_ids == (370,)
    assert ModelFolder.read(folder).encoder().stop_ids == (370, 371)


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_a_blank_template_is_none(folder: Path, blank: str) -> None:
    change(folder / "tokenizer_config.json", chat_template=blank)
    read = ModelFolder.read(folder)
    assert (read.has_template, read.template, read.encoder().template) == (False, None, "llama2")
    change(folder / "tokenizer_config.json", chat_template="{{ messages[0].content }}")
    assert ModelFolder.read(folder).has_template
    (folder / "chat_template.jinja").write_text(blank, encoding="utf-8")  # it comes first
    assert not ModelFolder.read(folder).has_template


def test_a_blank_template_among_several_is_refused(folder: Path) -> None:
    forms = [{"name": "default", "template": " "}]
    change(folder / "tokenizer_config.json", chat_template=forms)
    with pytest.raises(BadData, match="refuses it: it is empty; name another template"):
        ModelFolder.read(folder).encoder()


def test_an_adapter_made_elsewhere(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write(adapter, "adapter_config.json", base_model_name_or_path=str(folder))
    read = ModelFolder.read(adapter)
    assert read.root.path == folder
    assert read.tokenizer_path == folder
    assert read.stop_ids == (2,)
    write(adapter, "adapter_config.json", base_model_name_or_path="../model")
    assert ModelFolder.read(adapter).root.path == folder
    write(adapter, "adapter_config.json", base_model_name_or_path="owner/name")
    with pytest.raises(BadData, match=r"an adapter of hf:owner/name, which is not on this machine"):
        ModelFolder.read(adapter)
    assert ModelFolder.read(adapter, onto=folder).root.path == folder


def test_the_card_is_typed(tmp_path: Path) -> None:
    assert read_card(tmp_path) == Card()
    grown = Vocabulary(procedure="hangul-append", first=384, new=20, size=448, base="abc")
    card = Card(template="kullm", method="lora", base="../base", vocabulary=grown)
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    tree = json.loads((tmp_path / "kollama2.json").read_text(encoding="utf-8"))
    assert set(tree) == {"base", "method", "quantization", "recipe", "template", "vocabulary"}
    write(tmp_path, "kollama2.json", **{**tree, "quantization": "int3"})
    with pytest.raises(BadData, match=r"quantization: Input should be 'nf4'; correct it"):
        read_card(tmp_path)
    (tmp_path / "kollama2.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadData, match=r"kollama2\.json: the file: Invalid JSON"):
        read_card(tmp_path)


def test_an_adapter_that_is_its_own_base_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    write(folder, "adapter_config.json", base_model_name_or_path=str(folder))
    with pytest.raises(BadData, match="is an adapter that stands on itself, by way of"):
        ModelFolder.read(folder)
    (folder / "kollama2.json").write_text('{"base": "."}')
    with pytest.raises(BadData, match="is an adapter that stands on itself"):
        ModelFolder.read(folder)


def test_a_circle_of_adapters_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        above = tmp_path / str((number + 1) % 3)
        write(folder, "adapter_config.json", base_model_name_or_path=str(above))
    with pytest.raises(BadData, match="is an adapter that stands on itself, by way of"):
        ModelFolder.read(tmp_path / "0")
