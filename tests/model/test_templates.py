from pathlib import Path
from typing import Any, Literal

import pytest

from kollama2.errors import BadData, BadUsage
from kollama2.model.folder import ModelFolder
from kollama2.model.messages import Message
from kollama2.model.templates import FORMS, check_template
from tests.model import folders
from tests.model.families import jinja


def said(role: Literal["system", "user", "assistant"], content: str) -> Message:
    return {"role": role, "content": content}


CHAT = [
    said("user", " 하나? "),
    said("assistant", "1\n"),
    said("user", "둘?"),
    said("assistant", "2"),
]
QWEN = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
# What each family documents, for CHAT and for CHAT behind a system turn.
TEXTS = {
    "chatml": (
        "",
        "<|im_start|>system\n규칙<|im_end|>\n",
        "<|im_start|>user\n 하나? <|im_end|>\n<|im_start|>assistant\n1\n<|im_end|>\n"
        "<|im_start|>user\n둘?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n",
    ),
    "qwen": (
        f"<|im_start|>system\n{QWEN}<|im_end|>\n",
        "<|im_start|>system\n규칙<|im_end|>\n",
        "<|im_start|>user\n 하나? <|im_end|>\n<|im_start|>assistant\n1\n<|im_end|>\n"
        "<|im_start|>user\n둘?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n",
    ),
    "llama3": (
        "<|begin_of_text|>",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n규칙<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n하나?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n1<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n둘?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n2<|eot_id|>",
    ),
    "gemma": (
        "<bos><start_of_turn>user\n",
        "<bos><start_of_turn>user\n규칙\n\n",
        "하나?<end_of_turn>\n<start_of_turn>model\n1<end_of_turn>\n"
        "<start_of_turn>user\n둘?<end_of_turn>\n<start_of_turn>model\n2<end_of_turn>\n",
    ),
}
PROMPTS = {
    "chatml": "<|im_start|>assistant\n",
    "qwen": "<|im_start|>assistant\n",
    "llama3": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>model\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tokenizer that has the tokens of every form."""
    names = sorted({name for form in FORMS.values() for name in form.tokens})
    path = tmp_path_factory.mktemp("forms")
    return ModelFolder.read(folders.byte_level(path, jinja("chatml"), names, eos="<|im_end|>"))


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_text_of_every_form(folder: ModelFolder, name: str):
    alone, system, rest = TEXTS[name]
    encoder, plain = folder.encoder(name), folder.plain_tokenizer
    assert encoder.template == name
    for chat, text in ((CHAT, alone + rest), ([said("system", "규칙"), *CHAT], system + rest)):
        ids = encoder.encode(chat).ids
        assert plain.decode(ids) == text
        theirs: Any = [dict(turn) for turn in chat]
        assert ids == plain.apply_chat_template(
            theirs, chat_template=FORMS[name].jinja, return_dict=False
        )
        prompt = plain.decode(encoder.prompt(chat[:-1]))
        assert prompt == text[: text.rindex(PROMPTS[name])] + PROMPTS[name]
    with_input: Message = {"role": "user", "content": "요약해. ", "input": " 글 "}
    assert "요약해.\n글<" in plain.decode(encoder.prompt([with_input]))


@pytest.mark.parametrize("name", sorted(FORMS))
def test_forms_have_no_place_for_tools_and_thoughts(folder: ModelFolder, name: str):
    encoder = folder.encoder(name)
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    calls: Message = {"role": "assistant", "content": "", "tool_calls": [call]}
    result: Message = {"role": "tool", "content": "값"}
    thinks: Message = {"role": "assistant", "content": "답", "reasoning": "생각"}
    with pytest.raises(BadData, match="this template has no form for tools"):
        encoder.encode(CHAT, tools=[call])
    with pytest.raises(BadData, match="this template has no form for tools"):
        encoder.encode([CHAT[0], calls, result, CHAT[3]])
    with pytest.raises(BadData, match="no form for calls of tools"):
        encoder.encode([CHAT[0], calls])
    with pytest.raises(BadData, match="no form for reasoning"):
        encoder.encode([CHAT[0], thinks])


def test_names_are_known_or_near(tmp_path: Path):
    check_template("own")
    check_template("gemma")
    with pytest.raises(BadUsage, match="no template 'chatlm'; did you mean chatml"):
        check_template("chatlm")
    with pytest.raises(BadUsage, match="there are own, llama2, kullm, koalpaca, vicuna, plain, ch"):
        check_template("?")
