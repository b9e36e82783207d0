"""Messages: one turn of a chat, as data, templates and models of every family know it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict

from typing_extensions import NotRequired

Role = Literal["system", "user", "assistant", "tool"]


class Message(TypedDict):
    """One turn of a chat.

    `input` is the separate context of Alpaca-form instructions; `reasoning` what an assistant
    thought before it answered; `tool_calls` the functions that it calls, in OpenAI's form
    (`{"type": "function", "function": {"name": …, "arguments": {…}}}`, with an `id` where there is
    one); `name` and `tool_call_id` the function and the call that a tool's turn answers for.
    `weight` is 0, as OpenAI writes it, where an assistant's turn is read but never learned.
    """

    role: Role
    content: str
    input: NotRequired[str]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    name: NotRequired[str]
    tool_call_id: NotRequired[str]
    weight: NotRequired[Literal[0]]


Tool = Mapping[str, Any]
"""A function that a model may call, as a JSON schema in OpenAI's form."""


class Sample(Protocol):
    """One row of training data: a chat, running text, or both for a pair."""

    @property
    def messages(self) -> Sequence[Message]:
        """The turns of a chat; none for running text."""

    @property
    def text(self) -> str:
        """Running text."""

    @property
    def tools(self) -> Sequence[Tool]:
        """The functions that the assistant may call."""


def is_learned(message: Message) -> bool:
    """Whether an assistant's turn is learned where answers are."""
    return message.get("weight") != 0


def contents(messages: Sequence[Message]) -> list[str]:
    """The texts of a chat without any template: contents, thoughts and calls of functions."""
    found = list[str]()
    for message in messages:
        calls = [call["function"] for call in message.get("tool_calls", ())]
        said = [message.get("reasoning", ""), message["content"], message.get("input", "")]
        found += [*said, *(json.dumps(call, ensure_ascii=False) for call in calls)]
    return [part for part in found if part]
