"""Proof: a written GGUF, read by our own reader, is the model that it was made of."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kollama2.errors import BadData
from kollama2.model.bounded import render
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.architectures import config_of, family_of
from kollama2.model.gguf.describe import differences
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.rules import Rule
from kollama2.model.gguf.tokenizer import LINES, Vocabulary, rule_of
from kollama2.model.gguf.weights import names_of, tensor_of
from kollama2.model.gguf.write import kinds_of, stored
from kollama2.model.handover import differ_at
from kollama2.model.messages import Message
from kollama2.model.pieces import CONTROL, UNKNOWN, USER_DEFINED
from kollama2.model.probe import mixed_lines
from kollama2.model.weights import Weights

_SHOWN = 60
_ASK: Message = {"role": "user", "content": "한국의 수도는 어디입니까?"}
_SAY: Message = {"role": "assistant", "content": "서울입니다."}
_DIALOGS: tuple[tuple[Message, ...], ...] = (
    (_ASK,),
    ({"role": "system", "content": "Answer in Korean."}, _ASK, _SAY, _ASK),
)
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Half a step of a block, in parts of its largest number, and what is rounded of the step itself.
_STEPS = {"Q8_0": 1 / 254 + 2**-11, "Q4_0": 1 / 8 + 2**-10, "Q5_0": 1 / 16 + 2**-10, "Q5_1": 1 / 16}
# Of blocks of 256, whose steps are searched for: the largest numbers may be cut by one and a half.
_STEPS |= {"Q4_K": 1 / 4, "Q5_K": 3 / 16, "Q6_K": 1 / 8}
_SMALLEST = 2.0**-18  # steps below the normal numbers of float16 are rounded further


class Proved(NamedTuple):
    """What a file was found to be.

    Attributes:
        tensors: that were compared.
        lines: of Korean, English and others whose ids are equal.
        exact: whether every number is the model's own, not a rounded one.
        chats: what llama.cpp would read otherwise of a chat, in a sentence; empty where nothing.
    """

    tensors: int
    lines: int
    exact: bool
    chats: str


def prove(path: Path, folder: ModelFolder, kind: str) -> Proved:
    """Compare a file with the folder that it was written from.

    Args:
        path: the file.
        folder: whole weights and their tokenizer.
        kind: as it was written.

    Raises:
        BadData: a weight, a setting, an id or the template would be another one.
    """
    file = Gguf(path)
    with Weights(folder.path) as weights:
        config = weights.config.get_text_config()
        if wrong := differences(config, config_of(file)):
            raise BadData(f"{folder.path} cannot be said in GGUF: {wrong[0]}; export it as hf")
        tensors = dict(stored(weights, config))
        assert tensors.keys() == file.tensors.keys(), "what is written is what is listed"
        kinds = kinds_of(tensors, kind, config.num_hidden_layers)
        exact = [_same(file, name, one.get(), kinds[name]) for name, one in tensors.items()]
    if file.metadata.get("tokenizer.chat_template") != folder.jinja:
        raise BadData(f"{path} has another chat template than {folder.path}")
    about = Vocabulary(file)
    rule = rule_of(about)
    return Proved(len(exact), _ids(about, rule, folder), all(exact), chats(about, rule, folder))


def _same(file: Gguf, name: str, wanted: Tensor, kind: str) -> bool:
    """Whether a tensor is stored exactly; one that is not even nearly is an error."""
    found, wanted = torch.from_numpy(file.numbers(name).copy()), wanted.float()
    if kind in _DTYPES:
        near = torch.equal(found, wanted.to(_DTYPES[kind]).float())
    else:
        block = 256 if kind.endswith("_K") else 32
        blocks = wanted.reshape(-1, block)
        allowed = blocks.abs().amax(-1, keepdim=True) * _STEPS[kind] + _SMALLEST
        near = bool(((found.reshape(-1, block) - blocks).abs() <= allowed).all())
    if found.shape != wanted.shape or not near:
        raise BadData(f"{file.path}: {name} is not stored as {kind} should store it")
    return torch.equal(found, wanted)


def _ids(about: Vocabulary, rule: Rule, folder: ModelFolder) -> int:
    """How many lines have the same ids by the file's rules as by the folder's tokenizer.

    Raises:
        BadData: some have not, or a text begins or ends with other tokens.
    """
    ours = folder.tokenizer
    # Programs differ in the spaces that they put around tokens that are wanted whole.
    whole = (USER_DEFINED,) if about.get("add_space_prefix") else ()
    names = about.of(UNKNOWN, CONTROL, *whole)
    lines = [line for line in mixed_lines(LINES) if not any(name in line for name in names)]
    wrong = [
        line
        for line, ids in zip(lines, ours.encode_batch(lines), strict=True)
        if rule(line) != list(ids)
    ]
    if wrong:
        raise BadData(
            f"llama.cpp has no form for the tokenizer of {folder.path}: {len(wrong)} of "
            f"{len(lines)} lines would get other ids, first {wrong[0][:_SHOWN]!r}; export it as hf"
        )
    if about.begins != ours.bos_id:
        raise BadData(
            f"{about.file.path} begins texts with {about.begins}, the model with {ours.bos_id}"
        )
    if missing := sorted({i for i in folder.stop_ids if i < len(about.tokens)} - {*about.ends}):
        named = ", ".join(about.tokens[i] for i in missing)
        raise BadData(f"llama.cpp would not end an answer at {named}; export {folder.path} as hf")
    return len(lines)


def chats(
    about: Vocabulary,
    rule: Rule,
    folder: ModelFolder,
    dialogs: Iterable[Sequence[Message]] = _DIALOGS,
) -> str:
    """What ids of training the text of the template lacks, in llama.cpp's way with a text.

    It cuts at the names of control tokens, and puts its word space behind each of them.

    Returns:
        The first difference in a sentence; empty where there is none.
    """
    encoder = folder.encoder()
    if folder.jinja is None or folder.template in (None, "plain"):
        return ""
    ids = {name: i for i, name in enumerate(about.tokens) if about.kinds[i] in (UNKNOWN, CONTROL)}
    cut = re.compile("|".join(map(re.escape, sorted(ids, key=len)[::-1])))
    for dialog in dialogs:
        plain = [dict(message) for message in dialog]
        try:
            text = str(render(folder.plain_tokenizer, plain, add_generation_prompt=True))
            wanted = encoder.on(date.today()).prompt(dialog)
        except BadData:
            continue  # it has no form for a system text
        if about.begins is not None:
            text = text.removeprefix(about.tokens[about.begins])
        found = [] if about.begins is None else [about.begins]
        at = 0
        for hit in cut.finditer(text):
            found += [*(rule(text[at : hit.start()]) if at < hit.start() else []), ids[hit[0]]]
            at = hit.end()
        found += rule(text[at:]) if at < len(text) else []
        if found != wanted:
            place = differ_at(found, wanted) or 0
            theirs, ours = found[place : place + 3], wanted[place : place + 3]
            return f"a chat has …{theirs} at {place} in llama.cpp and had …{ours} in training"
    return ""


@torch.no_grad()
def fill(model: Any, path: Path) -> None:
    """Put the numbers of a file into the model that it was written from, in its own types.

    Args:
        model: in memory, with whole weights.
        path: the file.
    """
    file, state = Gguf(path), model.state_dict()
    family, config = family_of(file), model.config.get_text_config()
    for name, theirs in names_of(file.architecture, config, state).items():
        if theirs in file.tensors:
            state[name].copy_(tensor_of(file, theirs, torch.float32, family, config))
