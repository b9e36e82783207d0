"""What an evaluation gives a model to read: the ids that it was taught."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from kollama2.errors import BadData
from kollama2.evaluation.likelihood import answer_request
from kollama2.evaluation.lm import SharedContextLM
from kollama2.evaluation.windows import window_request
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model
from kollama2.model.write import merge, write_model
from kollama2.stages.evaluate import ModelEncoder, _addressing
from tests import tiny
from tests.chat_folders import CHATML, QWEN, write_adapter, write_folder, write_tokenizer

ASKED = [{"role": "user", "content": "한국의 수도는?"}]


def encoder(folder: Path, template: str = "own") -> ModelEncoder:
    model = ModelFolder.read(folder)
    return ModelEncoder(model.tokenizer, model.encoder(template))


def test_base_model_adapter_and_merge_read_the_same_ids(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base")  # as Qwen: no BOS, though config.json has an id for it
    adapter = write_adapter(base, tmp_path / "adapter")
    merge(adapter, tmp_path / "merged")
    recipe = {"base": base, "method": "full", "template": "own", "recipe": {}}
    write_model(load_model(base, device="cpu"), tmp_path / "full", **recipe)  # type: ignore[arg-type]
    end = encoder(base).tokenizer.special["<|im_end|>"]
    found = set()
    for name in ("base", "full", "adapter", "merged"):
        one = encoder(tmp_path / name)
        assert one.tokenizer.bos_id is None
        assert one.first_id == end  # what ends a document stands before a text
        request = window_request(one, "", "The fox, 여우.").request
        assert request.context == (end,)
        prompt = one.prompt(ASKED)  # type: ignore[arg-type]
        plain = AutoTokenizer.from_pretrained(base)
        assert prompt == plain.apply_chat_template(
            ASKED, add_generation_prompt=True, return_dict=False
        )
        found.add((request.continuation, *prompt, *one.answer("서울"), *one.stop_ids))
    assert len(found) == 1


def test_bos_stands_before_a_text_where_the_tokenizer_puts_it(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, control=("<s>", *QWEN), bos="<s>")
    assert encoder(tmp_path).first_id == encoder(tmp_path).tokenizer.special["<s>"]


def test_an_empty_thought_before_an_answer_is_context(tmp_path: Path) -> None:
    """Templates that open a thought in the prompt, or write an empty one into the chat."""
    control = (*QWEN, "<think>", "</think>")
    turn = "{{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' + m.content + '<|im_end|>\n' -}}"
    user = "{{- '<|im_start|>user\n' + m.content + '<|im_end|>\n' -}}"
    for name, opening in (("opens", "<think>\n\n"), ("not", "")):
        template = (
            "{%- for m in messages -%}{%- if m.role == 'user' -%}"
            + user
            + "{%- else -%}"
            + turn
            + "{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
            f"{{{{- '<|im_start|>assistant\n{opening}' -}}}}{{%- endif -%}}"
        )
        ids = write_tokenizer(tmp_path / name, control=control, template=template)
        one = encoder(tmp_path / name)
        request = answer_request(one, ASKED, "서울")
        assert list(request.continuation) == one.encode("서울")
        assert one.decode(request.context).endswith("<think>\n\n</think>\n\n")
        assert request.context.count(ids["</think>"]) == 1
        assert one.prompt(ASKED).count(ids["</think>"]) == 0  # type: ignore[arg-type]
    assert encoder(write_folder(tmp_path / "plain")).lead == []


def test_control_tokens_are_shown(tmp_path: Path) -> None:
    ids = write_tokenizer(tmp_path, control=(*QWEN, "<think>", "</think>"))
    one = encoder(tmp_path)
    said = [*one.encode("so"), ids["</think>"], *one.encode("네"), ids["<|im_end|>"]]
    assert one.decode([ids["<think>"], *said]) == "<think>so</think>네<|im_end|>"
    assert one.decode(one.encode("네")) == "네"


@pytest.mark.parametrize("template", ["own", "chatml", "kullm", "llama2", "plain"])
def test_lm_eval_writes_chats_by_the_same_template(tmp_path: Path, template: str) -> None:
    folder = write_folder(tmp_path)
    model = ModelFolder.read(folder)
    chat = model.encoder(template)
    lm = SharedContextLM(load_model(folder, device="cpu"), _addressing(model, chat))
    text = lm.apply_chat_template(ASKED)
    assert lm.tok_encode(text) == chat.prompt(ASKED)  # type: ignore[arg-type]
    if template == "own":
        assert text == "<|im_start|>user\n한국의 수도는?<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("template", ["chatml", "kullm", "llama2", "plain"])
def test_lm_eval_puts_no_bos_where_the_tokenizer_only_names_one(
    tmp_path: Path, template: str
) -> None:
    folder = write_folder(tmp_path)  # as polyglot-ko
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["bos_token"] = "<|endoftext|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    model = ModelFolder.read(folder)
    chat = model.encoder(template)
    lm = SharedContextLM(load_model(folder, device="cpu"), _addressing(model, chat))
    ids = lm.tok_encode(lm.apply_chat_template(ASKED))
    assert ids == chat.prompt(ASKED)  # type: ignore[arg-type]
    assert lm.tokenizer.bos_token_id not in ids


@pytest.mark.parametrize("template", ["own", "llama2", "kullm"])
def test_lm_eval_reads_folders_with_llama_2_s_tokenizer(tmp_path: Path, template: str) -> None:
    base = tiny.write_model(tmp_path / "base")
    recipe = {"base": base, "method": "full", "template": "llama2", "recipe": {}}
    network = load_model(base, device="cpu")
    write_model(network, tmp_path / "full", **recipe)  # type: ignore[arg-type]
    for place in (base, tmp_path / "full"):
        model = ModelFolder.read(place)
        chat = model.encoder(template)
        lm = SharedContextLM(network, _addressing(model, chat))
        assert lm.tok_encode("The fox.") == [1, *model.tokenizer.encode("The fox.")]
        ids = lm.tok_encode(lm.apply_chat_template(ASKED))
        assert ids == chat.prompt(ASKED)  # type: ignore[arg-type]
        assert ids[0] == 1 != ids[1]


def test_the_date_of_a_template_is_that_of_training(tmp_path: Path) -> None:
    dated = "{{- strftime_now('%d %b %Y') + '\\n' -}}" + CHATML
    folder = write_folder(tmp_path, template=dated)
    model = ModelFolder.read(folder)
    lm = SharedContextLM(load_model(folder, device="cpu"), model.plain_tokenizer)
    assert lm.apply_chat_template(ASKED).startswith("26 Jul 2024\n")
    assert lm.tok_encode(lm.apply_chat_template(ASKED)) == model.encoder().prompt(ASKED)  # type: ignore[arg-type]


def test_a_template_without_an_end_is_refused_in_lm_eval_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kollama2.model.bounded.SECONDS", 0.2)
    folder = write_folder(tmp_path)
    plain = ModelFolder.read(folder).plain_tokenizer
    plain.chat_template = (
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
    )
    lm = SharedContextLM(load_model(folder, device="cpu"), plain)
    with pytest.raises(BadData, match=r"refuses it: it takes longer than 0\.2 seconds"):
        lm.apply_chat_template(ASKED)
