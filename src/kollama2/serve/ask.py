"""What clients ask, in OpenAI's words: every parameter is obeyed or refused, none passed over.

Parameters that change no answer (`user`, `metadata`) are taken; those that would and cannot be
obeyed are refused unless they say what holds anyway (`frequency_penalty: 0`).
"""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kollama2.model.messages import Message, Tool
from kollama2.serve.refusal import Refusal, unreadable

MESSAGES, TOOLS, CHOICES, PROMPTS = 512, 64, 16, 64
TOP = 20  # alternatives to a token
_STOPS, _LONGEST_STOP = 4, 200
_ROLES = ("system", "developer", "user", "assistant", "tool")

Zero = Annotated[float, Field(ge=0, le=0)]
Stop = Annotated[str, Field(min_length=1, max_length=_LONGEST_STOP)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(_Closed):
    """How a stream is given; `include_obfuscation` asks for padding that is never added here."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class _Ask(_Closed):
    model: str = Field(max_length=500)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=CHOICES)
    stop: Stop | Annotated[list[Stop], Field(max_length=_STOPS)] | None = None
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: Zero | None = None
    presence_penalty: Zero | None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    user: str | None = None

    @model_validator(mode="after")
    def _options_of_streams(self) -> "_Ask":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are for streams; set stream to true")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def usage_streamed(self) -> bool:
        """Whether a stream ends with what it took."""
        return self.stream_options is not None and self.stream_options.include_usage


class Turn(_Closed):
    """A message; `content` is a text, or parts of it."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: None = None
    audio: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    function_call: None = None

    def message(self, at: str) -> Message:
        """The message as templates know it.

        Raises:
            Refusal: it holds something other than text, or another role.
        """
        if self.role not in _ROLES:
            known = ", ".join(_ROLES)
            raise Refusal(400, f"{at}.role: the roles are {known}", f"{at}.role", "invalid_value")
        role: Any = "system" if self.role == "developer" else self.role
        message: Message = {"role": role, "content": self._text(at)}
        if self.name:
            message["name"] = self.name
        if self.tool_call_id:
            message["tool_call_id"] = self.tool_call_id
        if self.reasoning_content:
            message["reasoning"] = self.reasoning_content
        if self.tool_calls:
            message["tool_calls"] = [_call(one, f"{at}.tool_calls") for one in self.tool_calls]
        return message

    def _text(self, at: str) -> str:
        place = f"{at}.content"
        if isinstance(self.content, str):
            return self.content
        if self.content is None:
            if self.role == "assistant":
                return ""
            raise Refusal(400, f"{place}: it has to be a text", place, "invalid_type")
        texts = []
        for part in self.content:
            text = part.get("text")
            if part.get("type") != "text" or not isinstance(text, str):
                raise Refusal(400, f"{place}: parts have to be of type text", place, "unsupported")
            texts.append(text)
        return "".join(texts)


class Chat(_Ask):
    """The body of `/v1/chat/completions`."""

    messages: list[Turn] = Field(min_length=1, max_length=MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=TOP)
    tools: Annotated[list[dict[str, Any]], Field(max_length=TOOLS)] | None = None
    tool_choice: Literal["auto", "none"] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None

    @field_validator("response_format")
    @classmethod
    def _is_text(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is not None and given != {"type": "text"}:
            raise ValueError("answers are text; no other form can be promised here")
        return given

    @model_validator(mode="after")
    def _no_contradictions(self) -> "Chat":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        if None not in (self.max_tokens, self.max_completion_tokens):
            raise ValueError("max_tokens is the old name of max_completion_tokens; give one")
        return self

    @property
    def most(self) -> int | None:
        """New tokens at most."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def top(self) -> int | None:
        """Alternatives to tell of each token; None for no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def dialog(self) -> list[Message]:
        """The messages as templates know them; raises as `Turn.message`."""
        return [turn.message(f"messages.{at}") for at, turn in enumerate(self.messages)]

    def offered(self) -> list[Tool]:
        """The functions that the model may call.

        Raises:
            Refusal: one is no function.
        """
        if not self.tools or self.tool_choice == "none":
            return []
        for at, tool in enumerate(self.tools):
            function = tool.get("function")
            named = isinstance(function, dict) and isinstance(function.get("name"), str)
            if tool.get("type") != "function" or not named or not _finite(tool):
                place = f"tools.{at}"
                raise Refusal(400, f"{place}: it is no function with a name", place, "invalid_type")
        return list(self.tools)


class Completion(_Ask):
    """The body of `/v1/completions`."""

    prompt: (
        str
        | Annotated[list[int], Field(min_length=1)]
        | Annotated[list[str], Field(min_length=1, max_length=PROMPTS)]
        | Annotated[list[list[int]], Field(min_length=1, max_length=PROMPTS)]
    )
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Literal[1] | None = None

    @property
    def most(self) -> int | None:
        """New tokens at most; OpenAI's 16 where it is not said."""
        return self.max_tokens or 16

    def prompts(self) -> list[str | list[int]]:
        """Every prompt, as a text or as ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [[one for one in self.prompt if isinstance(one, int)]]
        return [one for one in self.prompt if not isinstance(one, int)]


class Moderation(_Closed):
    """The body of `/v1/moderations`."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=PROMPTS)]
    model: str | None = None

    def texts(self) -> list[str]:
        """What is to be judged."""
        return [self.input] if isinstance(self.input, str) else self.input


A = TypeVar("A", bound=BaseModel)


def read(kind: type[A], body: bytes) -> A:
    """A body as what it has to be.

    Raises:
        Refusal: it is not.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise unreadable(error) from error


def _call(given: dict[str, Any], at: str) -> dict[str, Any]:
    """A call of a function, whose arguments are JSON in a text in OpenAI's form."""
    function = given.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    try:
        arguments = json.loads(function["arguments"]) if isinstance(function, dict) else None
    except (KeyError, TypeError, ValueError, RecursionError):
        arguments = None
    if not isinstance(name, str) or not isinstance(arguments, dict) or not _finite(arguments):
        message = f"{at}: a call has a function with a name and arguments, a JSON object in a text"
        raise Refusal(400, message, at, "invalid_value")
    called = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {**called, "id": given["id"]} if isinstance(given.get("id"), str) else called


def _finite(value: Any) -> bool:
    """Whether JSON can say a value: no NaN, no half of a character."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True
