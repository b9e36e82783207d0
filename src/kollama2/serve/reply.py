"""Replies in the forms of OpenAI's API: whole ones, and the chunks of streams."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from kollama2.serve.row import Token

Json = dict[str, Any]


@dataclass(slots=True)
class Choice:
    """A text that has ended."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    reason: str = "stop"


def usage(prompt: int, completion: int) -> Json:
    """How many tokens a request took."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def event(value: Json) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


class ChatReply:
    """The form of `/v1/chat/completions`."""

    whole_object, chunk_object, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def __init__(self, model: str, logprobs: bool) -> None:
        self._logprobs = logprobs
        self._head: Json = {
            "id": f"{self.prefix}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, choices: Sequence[Choice], used: Json) -> Json:
        """An answer that is not streamed."""
        found = [self._choice(index, one) for index, one in enumerate(choices)]
        return {**self._head, "object": self.whole_object, "choices": found, "usage": used}

    def opened(self, index: int) -> list[Json]:
        """The chunks before a text."""
        return [self._chunk(index, {"role": "assistant", "content": ""})]

    def piece(self, index: int, text: str, tokens: Sequence[Token]) -> Json:
        """A chunk of text."""
        return self._chunk(index, {"content": text}, tokens)

    def called(self, index: int, calls: Sequence[Json]) -> Json:
        """A chunk of calls."""
        numbered = [{"index": at, **call} for at, call in enumerate(calls)]
        return self._chunk(index, {"tool_calls": numbered})

    def ended(self, index: int, reason: str) -> Json:
        """The last chunk of a text."""
        return self._chunk(index, {}, reason=reason)

    def used(self, used: Json) -> Json:
        """The chunk of what the stream took."""
        return {**self._head, "object": self.chunk_object, "choices": [], "usage": used}

    def _chunk(
        self, index: int, delta: Json, tokens: Sequence[Token] = (), reason: str | None = None
    ) -> Json:
        logprobs = self._told(tokens) if tokens else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self._head, "object": self.chunk_object, "choices": [choice]}

    def _choice(self, index: int, one: Choice) -> Json:
        message: Json = {"role": "assistant", "content": one.text, "refusal": None}
        if one.calls:
            message |= {"content": one.text or None, "tool_calls": one.calls}
        logprobs = self._told(one.tokens) if self._logprobs else None
        return {
            "index": index, "message": message, "logprobs": logprobs, "finish_reason": one.reason
        }  # fmt: skip

    def _told(self, tokens: Sequence[Token]) -> Json:
        found = [
            {**_token(one.text, one.logprob), "top_logprobs": [_token(*top) for top in one.top]}
            for one in tokens
        ]
        return {"content": found, "refusal": None}


class TextReply(ChatReply):
    """The form of `/v1/completions`."""

    whole_object, chunk_object, prefix = "text_completion", "text_completion", "cmpl"

    def __init__(self, model: str, logprobs: bool) -> None:
        super().__init__(model, logprobs)
        self._at: dict[int, int] = {}

    def opened(self, index: int) -> list[Json]:
        """Nothing stands before a text."""
        return []

    def _chunk(
        self, index: int, delta: Json, tokens: Sequence[Token] = (), reason: str | None = None
    ) -> Json:
        choice = self._text(index, delta.get("content", ""), tokens, reason)
        return {**self._head, "object": self.chunk_object, "choices": [choice]}

    def _choice(self, index: int, one: Choice) -> Json:
        return self._text(index, one.text, one.tokens, one.reason)

    def _text(self, index: int, text: str, tokens: Sequence[Token], reason: str | None) -> Json:
        logprobs: Json | None = None
        if self._logprobs:
            lengths = (len(one.text) for one in tokens)
            *offsets, self._at[index] = accumulate(lengths, initial=self._at.get(index, 0))
            logprobs = {
                "tokens": [one.text for one in tokens],
                "token_logprobs": [one.logprob for one in tokens],
                "top_logprobs": [dict(one.top) for one in tokens],
                "text_offset": offsets,
            }
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _token(text: str, logprob: float) -> Json:
    whole = "\ufffd" not in text
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if whole else None}
