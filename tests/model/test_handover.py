"""What stands beside the weights: other programs read it with the ids of training."""

import json
import shutil
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from kollama2.errors import BadData
from kollama2.model.card import Card, read_card
from kollama2.model.folder import OWN, ModelFolder
from kollama2.model.handover import hand_over
from kollama2.model.messages import Message
from kollama2.model.pieces import read_pieces
from kollama2.model.write import merge, write_model
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests import tiny
from tests.jsons import change

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHAT: list[Message] = [
    {"role": "user", "content": "여우는 어디에 사나요?"},
    {"role": "assistant", "content": "숲에 삽니다.\n  In the forest."},
]


def added(names: list[str], first: int) -> dict[str, Any]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {
        str(first + i): {"content": name, "special": True, **flags} for i, name in enumerate(names)
    }


@pytest.fixture
def chatml(tmp_path: Path) -> Path:
    """A Llama with SentencePiece and two added control tokens, fine-tuned on ChatML."""
    folder = tiny.write_model(tmp_path / "chatml", vocab_size=384)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(386, mean_resizing=False)
    model.save_pretrained(folder)
    tokens = added(["<|im_end|>", "<|im_start|>"], 384)
    change(
        folder / "tokenizer_config.json",
        eos_token="<|im_end|>",
        added_tokens_decoder=tokens,
        chat_template=CHATML,
    )
    return folder


def handed(folder: Path, out: Path, method: str, template: str = OWN) -> Path:
    """A model of one method, untrained, written as training writes it."""
    network = prepare(folder, TrainSettings(method=method, steps=1), "cpu")
    write_model(network, out, base=folder, method=method, template=template, recipe={})
    return out


def plain_chat(folder: Path, **options: Any) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids: list[int] = tokenizer.apply_chat_template(CHAT, return_dict=False, **options)
    return ids


@pytest.mark.parametrize("template", ["llama2", "kullm", "koalpaca", "vicuna"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_named_templates_have_the_ids_of_training(
    template: str, method: str, tiny_model: Path, tmp_path: Path
) -> None:
    trained = ModelFolder.read(tiny_model).encoder(template)
    out = handed(tiny_model, tmp_path / "out", method, template)
    assert read_card(out).template == template
    assert plain_chat(out) == trained.encode(CHAT).ids
    plain = AutoTokenizer.from_pretrained(out)
    for text in ("여우", "  two spaces", "    in\n\tdent", "a <s> b"[:1]):
        assert plain(text).input_ids == [1, *trained.tokenizer.encode(text)]
    again = ModelFolder.read(out)
    assert again.template == template
    assert again.encoder().encode(CHAT) == trained.encode(CHAT)


@pytest.mark.parametrize("method", ["full", "lora", "merged"])
def test_the_own_template_of_a_base_is_what_its_models_have(
    method: str, chatml: Path, tmp_path: Path
) -> None:
    base = ModelFolder.read(chatml)
    assert base.template == OWN
    out = handed(chatml, tmp_path / "one", "lora" if method == "merged" else method)
    if method == "merged":
        merge(out, tmp_path / "merged")
        out = tmp_path / "merged"
    ids = base.encoder().encode(CHAT).ids
    assert ids == plain_chat(chatml) == plain_chat(out)
    assert ids[0] == 385
    assert ModelFolder.read(out).encoder().encode(CHAT) == base.encoder().encode(CHAT)
    assert ModelFolder.read(out).stop_ids == (2, 384)
    if method != "lora":  # an adapter has no generation configuration
        stops = json.loads((out / "generation_config.json").read_text())["eos_token_id"]
        assert stops == [2, 384]


def test_a_named_template_takes_the_place_of_the_own_one(chatml: Path, tmp_path: Path) -> None:
    out = handed(chatml, tmp_path / "out", "full", "kullm")
    assert "chat_template" not in json.loads((out / "tokenizer_config.json").read_text())
    assert plain_chat(out) == ModelFolder.read(chatml).encoder("kullm").encode(CHAT).ids
    assert "명령어" in AutoTokenizer.from_pretrained(out).decode(plain_chat(out))


def test_running_text_leaves_the_template_in_its_place(
    chatml: Path, tiny_model: Path, tmp_path: Path
) -> None:
    assert read_card(handed(chatml, tmp_path / "a", "full", "plain")).template == OWN
    assert plain_chat(tmp_path / "a") == plain_chat(chatml)
    assert read_card(handed(tiny_model, tmp_path / "b", "full", "plain")).template == "plain"
    assert ModelFolder.read(tmp_path / "b").template is None
    kullm = handed(tiny_model, tmp_path / "c", "full", "kullm")
    assert read_card(handed(kullm, tmp_path / "d", "lora", "plain")).template == "kullm"


def test_llama_2s_own_template_has_the_ids_of_metas_reference(
    tiny_model: Path, tmp_path: Path
) -> None:
    """By the text alone transformers 5 would begin each turn with `[`, not with `▁[`."""
    folder = tmp_path / "hub"
    shutil.copytree(tiny_model, folder)
    jinja = (
        "{% if messages[0].role == 'system' %}{% set system = '<<SYS>>\n' + messages[0].content "
        "+ '\n<</SYS>>\n\n' %}{% set turns = messages[1:] %}{% else %}{% set system = '' %}"
        "{% set turns = messages %}{% endif %}{% for m in turns %}{% if m.role == 'user' %}"
        "{{ bos_token + '[INST] ' + (system if loop.first else '') + m.content + ' [/INST]' }}"
        "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
    )
    change(folder / "tokenizer_config.json", chat_template=jinja)
    read = ModelFolder.read(folder)
    assert read.template == "llama2"
    ids = read.encoder().encode(CHAT).ids
    begins = read.tokenizer.encode("[")  # with the space of a beginning text
    assert ids[1 : 1 + len(begins)] == begins
    assert plain_chat(folder) != ids
    assert plain_chat(handed(folder, tmp_path / "out", "full")) == ids


def test_a_json_tokenizer_that_wants_bos_gets_it(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "json"
    shutil.copytree(tiny_model, folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    (folder / "tokenizer.model").unlink()
    change(folder / "tokenizer.json", post_processor=None)
    change(folder / "tokenizer_config.json", add_bos_token=True)
    assert AutoTokenizer.from_pretrained(folder)("여우").input_ids[0] != 1
    assert ModelFolder.read(folder).tokenizer.bos_id == 1
    out = handed(folder, tmp_path / "out", "full", "kullm")
    assert AutoTokenizer.from_pretrained(out)("여우").input_ids[0] == 1


def test_other_ids_than_those_of_training_are_refused(
    chatml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = handed(chatml, tmp_path / "out", "full")
    source = ModelFolder.read(chatml)
    trained = source.encoder()
    encode = trained.tokenizer.encode
    monkeypatch.setattr(trained.tokenizer, "encode", lambda text: encode(text)[::-1])
    monkeypatch.setattr(ModelFolder, "encoder", lambda *_: trained)
    with pytest.raises(BadData, match=r"handed over with other ids .* 'The quick .* gives …\["):
        hand_over(out, source, Card(template=OWN))


def test_pieces_behind_a_larger_tokenizer_keep_their_ids(chatml: Path) -> None:
    assert len(read_pieces(chatml).pieces) == 384
    assert ModelFolder.read(chatml).tokenizer.special["<|im_start|>"] == 385


def test_a_class_that_builds_its_own_pipeline_keeps_it(tmp_path: Path) -> None:
    """transformers reads this class's files by its own rules, and so does training."""
    from tests.model.test_folder import byte_level

    folder = tiny.write_model(tmp_path / "qwen", vocab_size=384)
    byte_level(folder, "<|endoftext|>", "<|im_start|>", "<|im_end|>")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"})
    )
    text = normalize("NFD", "안녕하세요")  # the class composes it, the file does not
    filed = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    ids = ModelFolder.read(folder).tokenizer.encode(text)
    assert ids == AutoTokenizer.from_pretrained(folder)(text).input_ids != filed
    for template in ("kullm", "chatml"):
        out = handed(folder, tmp_path / template, "full", template)
        assert plain_chat(out) == ModelFolder.read(folder).encoder(template).encode(CHAT).ids
        assert AutoTokenizer.from_pretrained(out)(text).input_ids == ids
