"""Modelfiles: the template of each name in Go's language, stops and parameters."""

import re
from pathlib import Path

import pytest
from jinja2 import Environment

from kollama2.errors import BadData
from kollama2.exporting.ollama import go_template, modelfile, spoken
from kollama2.model.bounded import render
from kollama2.model.card import Card
from kollama2.model.files import write_json
from kollama2.model.folder import ModelFolder
from kollama2.model.jinja import jinja_forms
from kollama2.model.templates import FORMS, TEMPLATES
from tests import chat_folders, tiny

CHATML = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


def test_llama_2_in_gos_language() -> None:
    assert go_template("llama2", "<s>", "</s>") == (
        '{{ $first := true }}{{ range .Messages }}{{ if eq .Role "user" }}'
        "{{ if not $first }}<s>{{ end }}[INST] {{ if $first }}{{ if $.System }}<<SYS>>\n"
        "{{ $.System }}\n<</SYS>>\n\n{{ end }}{{ end }}{{ .Content }} [/INST]{{ $first = false }}"
        '{{ else if eq .Role "assistant" }} {{ .Content }} </s>{{ end }}{{ end }}'
    )


# What stands in our templates of Go's language, in Jinja; `end` closes what was opened last.
JINJA = {
    "$first := true": "{% set said = namespace(first=true) %}",
    "$first = false": "{% set said.first = false %}",
    "range .Messages": "{% for one in messages %}",
    'if eq .Role "user"': "{% if one.role == 'user' %}",
    'else if eq .Role "assistant"': "{% elif one.role == 'assistant' %}",
    "if $first": "{% if said.first %}",
    "if not $first": "{% if not said.first %}",
    "if $.System": "{% if system %}",
    "$.System": "{{ system }}",
    ".Role": "{{ one.role }}",
    ".Content": "{{ one.content }}",
}


def rendered(go: str, messages: list[dict[str, str]]) -> str:
    """What Ollama makes of a chat by a template."""
    opened: list[str] = []

    def action(hit: re.Match[str]) -> str:
        if hit[1] == "end":
            return f"{{% end{opened.pop()} %}}"
        found = JINJA[hit[1]]
        if hit[1].startswith(("if", "range")):
            opened.append("for" if hit[1].startswith("range") else "if")
        return found

    source = re.sub(r"\{\{ (.*?) \}\}", action, go)
    assert not opened
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    page = Environment(keep_trailing_newline=True, autoescape=False)
    return page.from_string(source).render(messages=messages, system=system)


ASK, SAY = {"role": "user", "content": "질문"}, {"role": "assistant", "content": "대답"}
SYSTEM = {"role": "system", "content": "한국어로 답하세요."}


@pytest.mark.parametrize("name", [*FORMS, *sorted({*TEMPLATES} - {"plain"})])
@pytest.mark.parametrize("turns", [[ASK], [ASK, SAY, ASK]])
def test_both_languages_write_one_text(
    name: str, turns: list[dict[str, str]], tiny_model: Path
) -> None:
    folder = ModelFolder.read(tiny_model)
    jinja = next(iter(jinja_forms(name, 1))).replace("' ' + before", "before")
    chat = [SYSTEM, *turns]
    wanted = render(folder.plain_tokenizer, chat, jinja, add_generation_prompt=True)
    go = go_template(name, "<s>", "</s>")
    begin = re.compile(r"^(<s>|<bos>|<\|begin_of_text\|>)")
    assert rendered(go, chat) == begin.sub("", wanted)
    if name in TEMPLATES and TEMPLATES[name].default:
        default = {"role": "system", "content": TEMPLATES[name].default}
        alone = render(folder.plain_tokenizer, turns, jinja, add_generation_prompt=True)
        assert rendered(go, [default, *turns]) == begin.sub("", alone)


def test_every_template_has_balanced_actions() -> None:
    for name in (*TEMPLATES, *FORMS):
        text = go_template(name, "<s>", "</s>")
        opened = text.count("{{ if") + text.count("{{ range")
        assert (opened, text.count("{{")) == (text.count("{{ end }}"), text.count("}}")), name
        assert "{content}" not in text and "{system}" not in text


def test_a_template_that_was_trained_on_keeps_its_default(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "tiny")
    model = ModelFolder(folder, Card(template="kullm"))
    template, system = spoken(model)
    assert system == TEMPLATES["kullm"].default
    assert "### 명령어:\n{{ .Content }}\n\n### 응답:\n" in template
    text = modelfile("tiny-F16.gguf", model)
    assert text.startswith('FROM ./tiny-F16.gguf\nTEMPLATE """{{ $first := true }}')
    assert text.endswith('PARAMETER stop "</s>"\nPARAMETER num_ctx 512\n')


def test_an_own_template_is_known_by_its_text(tmp_path: Path) -> None:
    plain = chat_folders.write_folder(tmp_path / "plain", "llama")
    assert spoken(ModelFolder.read(plain)) == (CHATML, "")
    system = (
        "{%- if messages[0].role != 'system' -%}"
        "{{- '<|im_start|>system\\nYou are kind.<|im_end|>\\n' -}}{%- endif -%}"
    )
    kind = chat_folders.write_folder(
        tmp_path / "kind", "llama", template=system + chat_folders.CHATML
    )
    write_json(kind / "generation_config.json", {"temperature": 0.2, "repetition_penalty": 1.1})
    assert spoken(ModelFolder.read(kind)) == (CHATML, "You are kind.")
    text = modelfile("x.gguf", ModelFolder.read(kind))
    assert 'SYSTEM """You are kind."""' in text
    assert "PARAMETER temperature 0.2\nPARAMETER repeat_penalty 1.1\n" in text
    thinking = chat_folders.write_folder(
        tmp_path / "thinking",
        "llama",
        template=chat_folders.CHATML.replace("assistant\\n'", "assistant\\n<think>\\n'"),
    )
    with pytest.raises(BadData, match="writes the text of none that is known by name"):
        spoken(ModelFolder.read(thinking))


def test_a_model_without_chats_gets_the_prompt_alone(tiny_model: Path) -> None:
    assert spoken(ModelFolder.read(tiny_model)) == ("{{ .Prompt }}", "")
