"""Columns of chats: the ids of a family's own template, and its greedy answers."""

from typing import Any

import pytest
import torch

from kollama2.cli.chat import complete as complete_command
from kollama2.errors import BadData
from kollama2.llama.spell import spell
from kollama2.llama.talk import open_talker
from kollama2.model.folder import ModelFolder
from tests.families.dialogs import NAMES, dialogs
from tests.families.family import (
    CHAT,
    Family,
    encoder,
    plain_model,
    plain_tokenizer,
    quiet,
)

LOOK_ALIKES = {
    "Llama 2": 6, "Llama 3.2": 8, "Mistral": 13, "Mistral 3": 13, "Qwen 2": 7, "Qwen 3": 7,
    "Qwen 3.5": 7, "Qwen 3-Next": 7, "Gemma 2": 6, "Gemma 3": 8, "Phi-3": 9, "OLMo 3": 7,
    "SmolLM2": 7, "SmolLM3": 11, "Granite": 5, "EXAONE 4": 3, "polyglot-ko": 4, "LFM2": 7,
    "Falcon-H1": 7, "gpt-oss": 5,
}  # fmt: skip
"""Of the 200 dialogs, those in which a user writes the name of a family's control token."""


def template(family: Family) -> None:
    """Chats and prompts have the ids of `apply_chat_template`, or both refuse the dialog; but for
    look-alikes, where `apply_chat_template` makes control tokens of a user's text.
    """
    same, differ = compared(family)
    assert same + differ == 2 * len(dialogs())
    assert differ == 2 * look_alikes(family) == 2 * LOOK_ALIKES[family.name]


def compared(family: Family) -> tuple[int, int]:
    """Chats and prompts that have the ids of `apply_chat_template`, and those that have not."""
    folder = family.addressed
    ours, theirs = encoder(folder), plain_tokenizer(folder)
    same = differ = 0
    for dialog in dialogs():
        for prompt in (False, True):
            given = dialog[:-1] if prompt else dialog
            try:
                found = ours.prompt(given) if prompt else ours.encode(given).ids
            except BadData:
                found = None
            if found == _applied(theirs, given, prompt=prompt):
                same += 1
            else:
                differ += 1
    return same, differ


def _applied(tokenizer: Any, dialog: Any, *, prompt: bool) -> list[int] | None:
    """The ids of transformers; None where the template refuses the dialog."""
    from jinja2 import TemplateError

    try:
        ids: list[int] = tokenizer.apply_chat_template(
            [dict(m) for m in dialog], add_generation_prompt=prompt, return_dict=False
        )
    except TemplateError:
        return None
    return ids


def look_alikes(family: Family) -> int:
    """Dialogs with the name of a control token as text, which stays text, and can be written."""
    folder = family.addressed
    ours, theirs = encoder(folder), plain_tokenizer(folder)
    names = [name for name in NAMES if name in ours.tokenizer.special]
    control = set(ours.tokenizer.special.values())
    count = 0
    for dialog in dialogs():
        if not any(n in m["content"] for n in names for m in dialog):
            continue
        applied = _applied(theirs, dialog, prompt=False)
        if applied is None:
            continue
        count += 1
        plain = [{**m, "content": _without(m["content"])} for m in dialog]
        found = [i for i in ours.encode(dialog).ids if i in control]
        assert found == [i for i in ours.encode(plain).ids if i in control]
        assert len(found) < sum(i in control for i in applied)
    return count


def _without(text: str) -> str:
    for name in NAMES:
        text = text.replace(name, "x")
    return text


def complete(family: Family) -> None:
    """The command prints transformers' greedy answer of 64 tokens."""
    folder, asked = family.addressed, CHAT[:1]
    ids = encoder(folder).prompt(asked)
    assert ids == plain_tokenizer(folder).apply_chat_template(
        [dict(m) for m in asked], add_generation_prompt=True, return_dict=False
    )
    model = plain_model(folder)
    with torch.inference_mode(), quiet():
        found = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=64)
    answer = found[0, len(ids) :].tolist()
    if answer[-1] in ModelFolder.read(folder).stop_ids:
        del answer[-1]
    assert list(open_talker(folder).stream(ids, 64, 0)) == answer
    with pytest.MonkeyPatch.context() as patch:
        said = _printed(patch, str(folder), str(asked[0]["content"]))
    spelled = "".join(spell(ModelFolder.read(folder).tokenizer, answer))
    assert said.strip() == spelled.strip()


def _printed(patch: pytest.MonkeyPatch, folder: str, prompt: str) -> str:
    import io

    out = io.StringIO()
    patch.setattr("sys.stdout", out)
    complete_command(folder, prompt, max_new_tokens=64)
    return out.getvalue()
