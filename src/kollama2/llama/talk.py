"""Talk: one face for models of every family, so that what can be trained can be talked to."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

from kollama2.errors import BadUsage
from kollama2.llama import dialog as rules
from kollama2.llama.args import CONTEXT
from kollama2.llama.convert import is_meta
from kollama2.llama.generate import Generator, rules_of
from kollama2.llama.generation import Decoder
from kollama2.llama.runtime import Llama
from kollama2.llama.tokenizer import Tokenizer
from kollama2.model.chat import ChatEncoder
from kollama2.model.files import CONFIG, PIECES
from kollama2.model.find import NONE, Mirrors, find_model
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import Tell
from kollama2.model.load import load_folder
from kollama2.model.messages import Message, Tool

Talker = Llama | Generator
"""A model that writes token by token: `Llama`, and `Generator` for every other family."""


def open_talker(
    name: str | Path,
    *,
    tokenizer: Path | None = None,
    context: int | None = None,
    seed: int = 1,
    onto: str | Path | None = None,
    mirrors: Mirrors = NONE,
    tell: Tell = lambda text: None,
    rows: int = 1,
) -> Talker:
    """Load a model to talk with.

    Args:
        name: a folder of Hugging Face's or Meta's, an adapter, a GGUF file, `hf:owner/name` or
            builtin:miniature.
        tokenizer: a `tokenizer.model`, where the folder holds none.
        context: most tokens of a prompt with its answer; None for what the model was made for, of
            a Llama at most 4096, because all of its cache is set aside at once.
        seed: of sampling.
        onto: the base of an adapter, in the place of its own.
        mirrors: local copies of hub repositories.
        tell: receives what is said of unpacking a GGUF file.
        rows: how many texts a `Llama` has room for at once.

    Raises:
        BadUsage: there is no such model, or it was not made for such a context.
        BadData: it cannot be read.
        Denied, Missing: the hub refuses, cannot be reached, or NF4 has no kernel here.
    """
    folder = find_model(name, onto, mirrors, tell)
    whole = folder.root.path
    if is_meta(whole) or not (whole / CONFIG).is_file() or tokenizer is not None:
        return _reference(folder, tokenizer, context, seed, rows)
    encoder = encoder_of(folder)
    model = load_folder(folder)
    torch.manual_seed(seed)
    if model.config.model_type != "llama" or rules_of(model):
        return Generator(model, encoder, context)
    context = context or min(CONTEXT, model.config.max_position_embeddings or CONTEXT)
    return Llama(Decoder(model, rows, context), Tokenizer(folder.tokenizer_path), encoder)


def encoder_of(folder: ModelFolder) -> ChatEncoder:
    """The encoder of a model's chats, as of today."""
    return folder.encoder(otherwise=_otherwise(folder)).on(date.today())


def dialog_ids(talker: Talker, dialog: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
    """The ids of a dialog up to where the answer begins; what is not allowed, the template says.

    Args:
        talker: who answers.
        dialog: ends with what is asked.
        tools: functions that may be called.

    Raises:
        BadUsage, BadData: the template refuses it; Llama 2's also its tags in what is asked.
    """
    if talker.encoder.template == "llama2":
        rules.check(dialog)
        # What the model wrote is text; a user's tags would be refused by Meta's reference too.
        if rules.has_tags([one for one in dialog if one["role"] != "assistant"]):
            raise BadUsage(f"special tags ({', '.join(rules.TAGS)}) are not allowed in the prompt")
    return talker.encoder.prompt(dialog, tools)


def text_ids(talker: Talker, text: str) -> list[int]:
    """The ids of a text that is continued: BOS, where the tokenizer has it, and the text."""
    return talker.encoder.tokenizer.begun(text)


def _otherwise(folder: ModelFolder) -> str:
    """What stands in for a chat template: Llama 2's where it may be meant, else running text."""
    pieces = folder.text_config.get("model_type") == "llama" and folder.tokenizer.source == PIECES
    return "llama2" if pieces and folder.card.template != "plain" else "plain"


def _reference(
    folder: ModelFolder, tokenizer: Path | None, context: int | None, seed: int, rows: int
) -> Llama:
    """A checkpoint of Meta's, or a folder with the tokenizer of elsewhere."""
    import contextlib
    import io

    if folder.base is not None:
        raise BadUsage(f"{folder.path} is an adapter; put the tokenizer's files into its folder")
    path, positions = folder.path, folder.config.get("max_position_embeddings") or CONTEXT
    if is_meta(path) and tokenizer is None:
        beside = (path / "tokenizer.model", path.parent / "tokenizer.model")
        tokenizer = next((file for file in beside if file.is_file()), beside[0])
    with contextlib.redirect_stderr(io.StringIO()):  # the reference's line about loading
        return Llama.build(path, tokenizer, context or min(CONTEXT, positions), rows, seed=seed)
