"""Ollama: a Modelfile, with the chat template in Go's language.

Only templates that are known by name are written, and a folder's own where it writes the text of
one of them; nothing here can run Go's, so each is compared with its Jinja as data.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from kollama2.errors import BadData
from kollama2.model.bounded import render
from kollama2.model.files import GENERATION, read_json
from kollama2.model.folder import OWN, ModelFolder
from kollama2.model.jinja import jinja_forms
from kollama2.model.templates import FORMS, TEMPLATES, Template

CONTEXT = 8192
"""Positions that Ollama keeps memory for, where a model has more."""
_MARK = "SYSTEM-TEXT"
_ASK, _SAY = {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}
_DIALOGS = ([_ASK], [_ASK, _SAY, {**_ASK, "content": "V"}])
_SAMPLING = ("temperature", "top_p", "top_k", "min_p")
# {each} is what stands for a turn, {prompt} where the answer begins.
_ROLES = "{{{{ range .Messages }}}}{each}{{{{ end }}}}{prompt}"
_PAIRS = (
    "{{{{ $first := true }}}}{{{{ range .Messages }}}}"
    '{{{{ if eq .Role "user" }}}}{user}{{{{ $first = false }}}}'
    '{{{{ else if eq .Role "assistant" }}}}{assistant}{{{{ end }}}}{{{{ end }}}}{prompt}'
)
_SAID, _CONTENT = "{{ $.System }}", "{{ .Content }}"
_CHATML = _ROLES.format(
    each="<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n", prompt="<|im_start|>assistant\n"
)
_GO = {
    "chatml": _CHATML,
    "qwen": _CHATML,
    "llama3": _ROLES.format(
        each="<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>",
        prompt="<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma": _PAIRS.format(
        user="<start_of_turn>user\n{{ if $first }}{{ if $.System }}{{ $.System }}\n\n"
        "{{ end }}{{ end }}{{ .Content }}<end_of_turn>\n",
        assistant="<start_of_turn>model\n{{ .Content }}<end_of_turn>\n",
        prompt="<start_of_turn>model\n",
    ),
}


def modelfile(file: str, folder: ModelFolder) -> str:
    """The text of the Modelfile of a GGUF.

    Args:
        file: name of the GGUF, which lies beside it.
        folder: the model that it was written from.

    Raises:
        BadData: its chat template is none that is known by name.
    """
    template, system = spoken(folder)
    lines = [f"FROM ./{file}", f'TEMPLATE """{template}"""']
    if system:
        lines.append(f'SYSTEM """{system}"""')
    names = {i: name for name, i in folder.tokenizer.special.items()}
    lines += [f'PARAMETER stop "{names[i]}"' for i in folder.stop_ids if i in names]
    positions = int(folder.text_config.get("max_position_embeddings") or CONTEXT)
    lines.append(f"PARAMETER num_ctx {min(positions, CONTEXT)}")
    said = read_json(folder.path / GENERATION)
    lines += [f"PARAMETER {name} {said[name]}" for name in _SAMPLING if said.get(name) is not None]
    if said.get("repetition_penalty") is not None:
        lines.append(f"PARAMETER repeat_penalty {said['repetition_penalty']}")
    return "\n".join(lines) + "\n"


def spoken(folder: ModelFolder) -> tuple[str, str]:
    """A folder's chat template in Go's language, and the system text where a chat has none.

    Contents are written as they are, where the Jinja of some strips the white space around them.

    Raises:
        BadData: it is none that is known by name.
    """
    name, system = folder.template, None
    if name in (None, "plain"):
        return "{{ .Prompt }}", ""
    if name == OWN:
        name, system = _known(folder)
    if system is None:
        system = TEMPLATES[name].default if name in TEMPLATES else ""
    return go_template(name, *_ends(folder)), system


def go_template(name: str, bos: str, eos: str) -> str:
    """A template by name in Go's language.

    Args:
        name: of `templates.TEMPLATES` or `FORMS`.
        bos: the text of the token that begins texts; the first is llama.cpp's to put.
        eos: the text of the token that ends an answer.
    """
    return _GO[name] if name in _GO else _pairs(TEMPLATES[name], bos, eos)


def _pairs(template: Template, bos: str, eos: str) -> str:
    system = "{{ if $first }}{{ if $.System }}" + template.system.format(system=_SAID)
    system += "{{ end }}{{ end }}"
    inside = system if template.system_inside else ""
    again = "{{ if not $first }}" + bos + "{{ end }}" if template.bos_each_turn else ""
    before = "" if template.system_inside else system
    return _PAIRS.format(
        user=again + before + template.turn.format(content=inside + _CONTENT),
        assistant=template.answer.format(content=_CONTENT) + eos,
        prompt="",
    )


def _ends(folder: ModelFolder) -> tuple[str, str]:
    names = {i: name for name, i in folder.tokenizer.special.items()}
    bos = folder.tokenizer.bos_id
    return "" if bos is None else names[bos], names[folder.tokenizer.eos_id]


def _known(folder: ModelFolder) -> tuple[str, str]:
    """The name of the template whose text a folder's own writes, and its system text.

    Raises:
        BadData: there is none.
    """
    plain = folder.plain_tokenizer
    for name in (*FORMS, *TEMPLATES):
        for jinja in jinja_forms(name, folder.tokenizer.bos_id):
            system = _alike(plain, jinja)
            if system is not None:
                return name, system
    raise BadData(
        f"the chat template of {folder.path} writes the text of none that is known by name "
        f"({', '.join((*FORMS, *TEMPLATES))}), and no other is written in Ollama's language; "
        "take --to gguf: llama.cpp reads the template in it"
    )


def _alike(plain: Any, jinja: str) -> str | None:
    """The system text under which a template writes what a tokenizer's own does; None if none."""

    def text(dialog: Sequence[dict[str, str]], source: str | None = None) -> str:
        return str(render(plain, dialog, source, add_generation_prompt=True))

    try:
        own, marked = text(_DIALOGS[0]), text([_system(_MARK), *_DIALOGS[0]], jinja)
        before, _, after = marked.partition(_MARK)
        system = ""
        if own != text(_DIALOGS[0], jinja):
            if not (own.startswith(before) and own.endswith(after)):
                return None
            system = own[len(before) : len(own) - len(after)]
        for dialog in _dialogs(system):
            if text(dialog[0]) != text(dialog[1], jinja):
                return None
    except BadData:
        return None
    return system


def _dialogs(system: str) -> Iterator[tuple[list[dict[str, str]], list[dict[str, str]]]]:
    """Dialogs as the own template gets them and as the named one does, with a system text."""
    for dialog in _DIALOGS:
        yield dialog, [*([_system(system)] if system else []), *dialog]
        yield [_system("S"), *dialog], [_system("S"), *dialog]


def _system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}
