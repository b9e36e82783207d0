"""Dialogs: their rules as Meta's reference states them, and what a completion returns."""

from collections.abc import Sequence
from typing import TypedDict

from kollama2.llama.faults import Outside, Unmet
from kollama2.model.chat import ChatEncoder
from kollama2.model.messages import Message

Dialog = Sequence[Message]

TAGS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
UNSAFE_ERROR = "Error: special tags are not allowed as part of the prompt."
_ROLES = (
    "model only supports 'system', 'user' and 'assistant' roles, starting with 'system', then "
    "'user' and alternating (u/a/u/a/u...)"
)


class _Prediction(TypedDict, total=False):
    tokens: list[str]
    logprobs: list[float]


class CompletionPrediction(_Prediction):
    """A completed text; tokens and their natural log-probabilities where they were asked for."""

    generation: str


class ChatPrediction(_Prediction):
    """An answer; tokens and their natural log-probabilities where they were asked for."""

    generation: Message


def has_tags(dialog: Dialog) -> bool:
    """Whether a content holds a tag of the chat format; such a dialog is refused.

    `<s>`, `</s>` and other spellings of the tags are ordinary text.
    """
    return any(tag in message["content"] for message in dialog for tag in TAGS)


def check(dialog: Dialog) -> None:
    """Check the roles of a dialog.

    Raises:
        Outside: it is empty or holds only a system message.
        Unmet: the roles are not in turn, or the last message is not the user's.
    """
    roles = [message["role"] for message in dialog]
    if roles[:1] == ["system"]:
        roles = roles[1:]
    if not roles:
        what = "holds only a system message" if len(dialog) else "is empty"
        raise Outside(f"the dialog {what}; it must end with a message of the user")
    if roles != [("user", "assistant")[i % 2] for i in range(len(roles))]:
        raise Unmet(f"{_ROLES}; got {', '.join(roles)}")
    if roles[-1] != "user":
        raise Unmet(f"Last message must be from user, got {roles[-1]}")


def encode(encoder: ChatEncoder, dialog: Dialog) -> list[int]:
    """Return the ids of a checked dialog up to where the answer begins; never changes it."""
    return encoder.prompt([{"role": m["role"], "content": m["content"]} for m in dialog])
