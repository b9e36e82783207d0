"""Chats by a Jinja template: the ids that transformers gives, with labels on what is written.

The template is rendered by transformers and encoded whole, so the ids are those of
`apply_chat_template`. What a content says is never structure: the names of control tokens in it are
broken before the template sees them, and encoded in parts. Where answers stand is found by marks
that are put into a second rendering, so templates may strip, fold, or drop what they like.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

from kollama2.errors import BadData
from kollama2.model.chat import IGNORED, ChatEncoder, Encoded, Loss
from kollama2.model.messages import Message, Sample, Tool
from kollama2.model.tokenizer import FENCE, Tokenizer

_BREAK, _MARK = "\ue001", "\ue002"
_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_THINKING = re.compile(r"\s*<[^<>]*(think|reason)[^<>]*>\s*")
DAY = date(2024, 7, 26)
"""The date that templates write in training and evaluation, so that the same chat has the same ids
on any day; it is the one that Llama 3.2's template falls back to."""


class JinjaEncoder(ChatEncoder):
    """Encodes by a Jinja template.

    Args:
        tokenizer: of contents.
        plain: the same as transformers reads it.
        stop_ids: what ends generation; the token that ends an answer in the template is one too.
        template: its name; `own` for the folder's.
        source: the Jinja text; None for the folder's.
        day: what a template that writes a date is told.

    Raises:
        BadData: the template cannot write a chat of one question and one answer.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        plain: Any,
        stop_ids: Collection[int],
        template: str,
        source: str | None = None,
        day: date = DAY,
    ) -> None:
        from tokenizers import Tokenizer as Fast

        self.tokenizer, self.template = tokenizer, template
        self._plain, self._source, self._day = plain, source, day
        self._fast = Fast.from_str(plain.backend_tokenizer.to_str())
        self._fast.no_truncation()
        self._fast.no_padding()
        self._fence = len(self._fast.encode(FENCE, add_special_tokens=False).ids)
        names = sorted((name for name in tokenizer.special if len(name) > 1), key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, names)) or "(?!)")
        self._control = frozenset(tokenizer.special.values())
        self._tails: dict[str, str] = {}
        self.stop_ids = tuple(sorted({tokenizer.eos_id, *stop_ids}))
        self.stop_ids = tuple(sorted({*self.stop_ids, *self._ending()}))

    def on(self, day: date) -> "JinjaEncoder":
        """See `ChatEncoder.on`."""
        return JinjaEncoder(
            self.tokenizer, self._plain, self.stop_ids, self.template, self._source, day
        )

    def _ending(self) -> list[int]:
        """The control token behind an answer, if the template puts one there."""
        chat: list[Message] = [{"role": "user", "content": "a"}]
        chat.append({"role": "assistant", "content": "b"})
        text = self._render(chat, marked=True)
        behind = text.rpartition(_MARK)[2]
        ids = self._fast.encode(behind, add_special_tokens=False).ids
        return ids[:1] if ids and ids[0] in self._control else []

    def encode(
        self, messages: Sequence[Message], loss: Loss = "assistant", tools: Sequence[Tool] = ()
    ) -> Encoded:
        """See `ChatEncoder.encode`."""
        if not messages or messages[-1]["role"] != "assistant":
            last = messages[-1]["role"] if messages else "none"
            raise BadData(f"the last message must be from the assistant, got {last}")
        text = self._render(messages, tools)
        marks = self._marks(messages, tools, text)
        ids, spans = self._ids(text)
        if loss == "all":
            labels = list(ids)
            if ids and ids[0] == self.tokenizer.bos_id:
                labels[0] = IGNORED
        else:
            labels = [IGNORED] * len(ids)
        ends = list[int]()
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            start = self._start(messages[:number], tools, text, marks)
            end = self._end(ids, spans, marks.get(number, start))
            chosen = [i for i in range(end) if spans[i][0] >= start]
            for i in chosen:
                labels[i] = ids[i]
            ends.append(end)
        return Encoded(ids, labels, tuple(ends))

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """See `ChatEncoder.prompt`."""
        if not messages or messages[-1]["role"] not in ("user", "tool"):
            last = messages[-1]["role"] if messages else "none"
            raise BadData(f"the last message must be from the user, got {last}")
        return self._ids(self._render(messages, tools, prompt=True))[0]

    def answer(self, text: str) -> list[int]:
        """See `ChatEncoder.answer`."""
        asked: list[Message] = [{"role": "user", "content": "."}]
        whole = self.encode([*asked, {"role": "assistant", "content": text}])
        said = [i for i, label in zip(whole.ids, whole.labels, strict=True) if label != IGNORED]
        return said[:-1] if said and said[-1] in self.stop_ids else said

    def encode_batch(self, samples: Iterable[Sample], loss: Loss = "assistant") -> list[Encoded]:
        """See `ChatEncoder.encode_batch`."""
        found = []
        for sample in samples:
            try:
                found.append(
                    self.encode(sample.messages, loss, sample.tools)
                    if self.is_chat(sample)
                    else self.text(sample.text)
                )
            except BadData as error:
                found.append(Encoded([], [], reason=str(error)))
        return found

    def _render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        prompt: bool = False,
        marked: bool = False,
    ) -> str:
        """The text of a chat, contents broken where they name control tokens."""
        from jinja2 import TemplateError

        turns = [self._turn(message, marked=marked) for message in messages]
        told = [self._broken(tool) for tool in tools] or None
        try:
            source = self._source or self._plain.get_chat_template(tools=told)
            text: str = self._plain.apply_chat_template(
                turns,
                chat_template=dated(source, self._day),
                tools=told,
                add_generation_prompt=prompt,
                tokenize=False,
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            first = (str(error).splitlines() or [repr(error)])[0]
            raise BadData(f"the model's chat template refuses it: {first}") from error
        return text

    def _turn(self, message: Message, *, marked: bool) -> dict[str, Any]:
        content = message["content"]
        if extra := message.get("input", "").strip():
            content = f"{content.strip()}\n{extra}"
        content = self._broken(content)
        if marked and message["role"] != "system" and content.strip():
            end = len(content.rstrip())
            content = content[:end] + _MARK + content[end:]
        turn: dict[str, Any] = {"role": message["role"], "content": content}
        if "reasoning" in message:
            turn["reasoning_content"] = self._broken(message["reasoning"])
        for name in ("tool_calls", "name"):
            if name in message:
                turn[name] = self._broken(message[name])
        return turn

    def _broken(self, value: Any) -> Any:
        """A value whose texts hold no name of a control token any more."""
        if isinstance(value, str):
            while self._names.search(value):
                value = self._names.sub(lambda hit: hit[0][0] + _BREAK + hit[0][1:], value)
            return value
        if isinstance(value, Mapping):
            return {key: self._broken(one) for key, one in value.items()}
        return [self._broken(one) for one in value] if isinstance(value, list) else value

    def _ids(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a rendered chat, and the characters of `text` that each stands for."""
        ids, spans, at = list[int](), list[tuple[int, int]](), 0
        for number, part in enumerate(text.split(_BREAK)):
            skipped = self._fence if number else 0
            found = self._fast.encode(FENCE * bool(number) + part, add_special_tokens=False)
            shift = at - bool(number)
            ids += found.ids[skipped:]
            spans += [(start + shift, end + shift) for start, end in found.offsets[skipped:]]
            at += len(part) + 1
        return ids, spans

    def _marks(
        self, messages: Sequence[Message], tools: Sequence[Tool], text: str
    ) -> dict[int, int]:
        """Where in `text` the content of each message ends, as far as the template shows it.

        Raises:
            BadData: the template writes another text where contents are marked.
        """
        found = self._render(messages, tools, marked=True)
        parts = found.split(_MARK)
        marked = [
            i for i, m in enumerate(messages) if m["role"] != "system" and m["content"].strip()
        ]
        if "".join(parts) != text or len(parts) != len(marked) + 1:
            raise BadData("the model's chat template changes the contents of this chat")
        return dict(zip(marked, accumulate(map(len, parts[:-1])), strict=True))

    def _start(
        self,
        before: Sequence[Message],
        tools: Sequence[Tool],
        text: str,
        marks: Mapping[int, int],
    ) -> int:
        """Where an answer begins in `text`: behind what a prompt puts behind its last content.

        Raises:
            BadData: the prompt is not a beginning of the chat.
        """
        last = len(before) - 1
        at = marks.get(last)
        if at is not None:
            role = before[last]["role"]
            tail = self._tails.get(role)
            if tail is None or not text.startswith(tail, at):
                prompt = self._render(before, tools, prompt=True, marked=True)
                tail = self._tails[role] = prompt.rpartition(_MARK)[2]
            same = _common(tail, text[at : at + len(tail)])
            # A prompt may open the thoughts of an answer that has none.
            if same == len(tail) or _THINKING.fullmatch(tail[same:]):
                return at + same
        prompt = self._render(before, tools, prompt=True)
        if not text.startswith(prompt):
            raise BadData("the model's chat template begins an answer otherwise than its prompt")
        return len(prompt)

    def _end(self, ids: Sequence[int], spans: Sequence[tuple[int, int]], at: int) -> int:
        """The number of tokens up to and with the one that ends the answer of which `at` is in."""
        for place, token in enumerate(ids):
            if spans[place][0] >= at and token in self.stop_ids:
                return place + 1
        return len(ids)


def dated(source: str, day: date) -> str:
    """A chat template that takes another day for today."""
    return _NOW.sub(lambda hit: json.dumps(day.strftime(hit[2])), source)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def writes_llama2(plain: Any) -> bool:
    """Whether a tokenizer's own chat template writes the text of Llama 2's."""
    from jinja2 import TemplateError

    system = {"role": "system", "content": "S"}
    chat = [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
    bos, eos = plain.bos_token, plain.eos_token
    expected = {
        f"{bos}[INST]U[/INST]A{eos}": chat,
        f"{bos}[INST]<<SYS>>S<</SYS>>U[/INST]A{eos}": [system, *chat],
    }
    try:
        return all(
            re.sub(r"\s", "", plain.apply_chat_template(turns, tokenize=False)) == text
            for text, turns in expected.items()
        )
    except (TemplateError, TypeError, ValueError, KeyError):
        return False
