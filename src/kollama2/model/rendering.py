"""Rendering: a chat as the text of a Jinja template, and where in that text the answers stand.

transformers renders. What a content says is never structure: the names of control tokens in it are
broken before the template sees them. Where contents stand is found by marks at their ends in a
second rendering, so templates may strip, fold or drop what they like; where a mark would change
what is written, the prompts before each answer tell instead.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date
from typing import Any

from kollama2.errors import BadData
from kollama2.model.bounded import render
from kollama2.model.marks import MARK, mark, marked, places
from kollama2.model.messages import Message, Tool, is_learned
from kollama2.model.reading import said

BREAK = "\ufdd0"
"""A noncharacter that stands where a rendered text has to be encoded in parts."""

DAY = date(2024, 7, 26)
"""The date that templates write in training and evaluation, so that the same chat has the same ids
on any day; it is the one that Llama 3.2's template falls back to."""

_OURS = re.compile(f"[{BREAK}{MARK}]")
_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_THOUGHTS = re.compile(r"\s*(?P<tags>(?:<[^<>]*(?:think|reason)[^<>]*>\s*)+)\Z")
_BRACKETED = re.compile(r"[<\[{(|].+[>\]})|]")
_FIELDS = {
    "reasoning": "reasoning_content",
    "tool_calls": "tool_calls",
    "tool_call_id": "tool_call_id",
    "name": "name",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A chat as a template writes it.

    Attributes:
        text: with `BREAK` where it has to be encoded in parts.
        answers: from where to where in it the assistant speaks, with what ends its turn.
        learned: of each of them, whether training learns it.
    """

    text: str
    answers: tuple[tuple[int, int], ...] = ()
    learned: tuple[bool, ...] = ()


class Rendering:
    """Renders chats by a template.

    Attributes:
        control: the control tokens by name: those of the tokenizer, and those that are not special
            there and that the template is made of all the same.
        stop_ids: what ends generation; the control token behind an answer is one too.

    Args:
        plain: the tokenizer as transformers reads it.
        special: its control tokens by name.
        stop_ids: what ends generation.
        source: the Jinja text; None for the tokenizer's own.

    Raises:
        BadData: the template cannot write a chat of one question and one answer.
    """

    def __init__(
        self,
        plain: Any,
        special: Mapping[str, int],
        stop_ids: Collection[int],
        source: str | None = None,
    ) -> None:
        self._plain, self._given, self._day = plain, source, DAY
        self._sources: dict[bool, str] = {}
        self._tails: dict[str, str] = {}
        self.control = dict(special)
        added = {token.content: (i, token) for i, token in plain.added_tokens_decoder.items()}
        self.control |= {
            name: i for name, (i, token) in added.items() if token.special or i in stop_ids
        }
        self._names = _any_of(self.control)
        before, behind = self._around_an_answer()
        self.control |= {
            name: i for name, (i, _) in added.items() if _is_part(name, before, behind)
        }
        self._names = _any_of(self.control)
        ends = [self.control[name] for name in self._names.findall(behind)]
        self.stop_ids = tuple(sorted({*stop_ids, *ends[:1]}))
        self._stops = _any_of(name for name, i in self.control.items() if i in self.stop_ids)
        self._apart = tuple(self.control)
        self._wide = tuple(n for n in self.control if n in added and added[n][1].rstrip)

    def on(self, day: date) -> "Rendering":
        """The same template on another day."""
        other = copy(self)
        other._day, other._sources, other._tails = day, {}, {}
        return other

    def chat(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, prompt: bool = False
    ) -> Rendered:
        """A chat as text; up to where the next answer begins for a prompt.

        Raises:
            BadData: the template refuses the chat, or has no form for something in it.
        """
        turns, told = self._turns(messages), self._broken(list(tools))
        text, shown = self._render([turns, marked(turns)], told, prompt=prompt)
        if told and text == self._render([turns], [], prompt=prompt)[0]:
            raise BadData("the model's chat template has no form for tools")
        spoken = [n for n, turn in enumerate(turns) if turn["role"] == "assistant"]
        if not spoken:
            return Rendered(text)
        marks = places(turns, text, shown)
        starts = [self._start(turns[:n], told, text, marks) for n in spoken]
        ends = [
            self._end(n, start, bound, text, marks, last=n + 1 == len(turns))
            for n, start, bound in zip(spoken, starts, [*starts[1:], len(text)], strict=True)
        ]
        # Templates drop the thoughts of earlier answers, but not of the last.
        thought = "" if prompt else turns[-1].get("reasoning_content", "").strip()
        if thought not in text[starts[-1] : marks.get(f"{spoken[-1]}", ends[-1])]:
            raise BadData("the model's chat template has no form for reasoning")
        learned = tuple(is_learned(messages[n]) for n in spoken)
        return Rendered(*self._parted(text, starts, ends), learned)

    def _parted(
        self, text: str, starts: Sequence[int], ends: Sequence[int]
    ) -> tuple[str, tuple[tuple[int, int], ...]]:
        """A text with a break before each answer, so that no token holds a prompt's end too.

        Control tokens stand apart by themselves, with the white space that they take along.
        """
        parts, answers, at = list[str](), list[tuple[int, int]](), 0
        for start, end in zip(starts, ends, strict=True):
            bare = len(text[at:start].rstrip()) + at
            apart = text.endswith(self._apart, at, start) or text.endswith(self._wide, at, bare)
            if not apart:
                parts.append(text[at:start])
                at = start
            answers.append((start + len(parts), end + len(parts)))
        return BREAK.join([*parts, text[at:]]), tuple(answers)

    def _around_an_answer(self) -> tuple[str, str]:
        """What stands before and behind the answer in a short chat."""
        system: Message = {"role": "system", "content": "c"}
        ask: Message = {"role": "user", "content": "a"}
        try:
            return self._around([system, ask])
        except BadData:
            return self._around([ask])

    def _around(self, asked: list[Message]) -> tuple[str, str]:
        (before,) = self._render([self._turns(asked)], [], prompt=True)
        turns = marked(self._turns([*asked, {"role": "assistant", "content": "b"}]))
        _, found, behind = self._render([turns], [])[0].rpartition(mark(f"{len(asked)}"))
        if not found:
            raise BadData("the model's chat template does not write the content of an answer")
        return before, behind

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Messages as templates know them, with no name of a control token in what they say."""
        turns = list[dict[str, Any]]()
        for message in messages:
            content = message["content"]
            if extra := message.get("input", "").strip():
                content = f"{content.strip()}\n{extra}"
            turn = {"role": message["role"], "content": self._broken(content)}
            fields: Mapping[str, Any] = message
            for name, key in _FIELDS.items():
                if fields.get(name):
                    turn[key] = self._broken(fields[name])
            turns.append(turn)
        return turns

    def _broken(self, value: Any) -> Any:
        """A value whose texts hold no name of a control token any more."""
        if isinstance(value, str):
            if ours := _OURS.search(value):
                raise BadData(
                    f"a content holds U+{ord(ours[0]):04X}, which stands for no character; "
                    "remove it"
                )
            while self._names.search(value):
                value = self._names.sub(lambda hit: hit[0][0] + BREAK + hit[0][1:], value)
            return value
        if isinstance(value, Mapping):
            return {self._broken(key): self._broken(one) for key, one in value.items()}
        return [self._broken(one) for one in value] if isinstance(value, list) else value

    def _render(
        self, chats: list[list[dict[str, Any]]], tools: list[Any], *, prompt: bool = False
    ) -> list[str]:
        texts: list[str] = render(
            self._plain,
            chats,
            self._source(tools),
            tools=tools or None,
            add_generation_prompt=prompt,
        )
        return texts

    def _source(self, tools: list[Any]) -> str:
        """The Jinja text on the day; a folder may have one of its own for chats with tools."""
        if bool(tools) not in self._sources:
            try:
                source = self._given or self._plain.get_chat_template(tools=tools or None)
            except ValueError as error:
                raise BadData(f"the model has no chat template for it: {said(error)}") from error
            self._sources[bool(tools)] = dated(source, self._day)
        return self._sources[bool(tools)]

    def _start(
        self,
        before: list[dict[str, Any]],
        tools: list[Any],
        text: str,
        marks: Mapping[str, int],
    ) -> int:
        """Where an answer begins in `text`: behind what a prompt puts behind its last content.

        Raises:
            BadData: the prompt is not a beginning of the chat.
        """
        at = marks.get(f"{len(before) - 1}")
        if at is not None:
            role = before[-1]["role"]
            same = _begun(text, at, self._tails[role]) if role in self._tails else None
            if same is None:
                (prompt,) = self._render([marked(before)], tools, prompt=True)
                self._tails[role] = prompt.rpartition(MARK)[2]
                same = _begun(text, at, self._tails[role])
            if same is not None:
                return same
        same = _begun(text, 0, self._render([before], tools, prompt=True)[0])
        if same is None:
            raise BadData("the model's chat template begins an answer otherwise than its prompt")
        return same

    def _end(
        self,
        number: int,
        start: int,
        bound: int,
        text: str,
        marks: Mapping[str, int],
        *,
        last: bool,
    ) -> int:
        """Where an answer ends in `text`, with the control token that ends it if there is one.

        Raises:
            BadData: nothing shows it.
        """
        said = marks.get(f"{number}")
        stop = self._stops.search(text, max(start, said or 0), marks.get(f"{number + 1}", bound))
        if stop is not None:
            return stop.end()
        if said is None and not last:
            raise BadData("the model's chat template does not show where an answer ends")
        return len(text) if said is None else said


def _begun(text: str, at: int, prompt: str) -> int | None:
    """Where `text` goes on after a prompt that stands in it at a place; None if it does not.

    A prompt may open the thoughts of an answer that has none.
    """
    if text.startswith(prompt, at):
        return at + len(prompt)
    opened = _THOUGHTS.search(prompt)
    ends = (opened.start("tags"), opened.start()) if opened else ()
    return next((at + end for end in ends if text.startswith(prompt[:end], at)), None)


def _is_part(name: str, *texts: str) -> bool:
    """Whether an added token is one of those that a template writes around contents."""
    bracketed = _BRACKETED.fullmatch(name) and not _THOUGHTS.fullmatch(name)
    return bool(bracketed) and any(name in text for text in texts)


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern of the names, the longest first; single characters are no names."""
    longest = sorted((name for name in names if len(name) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest)) or "(?!)")


def dated(source: str, day: date) -> str:
    """A chat template that takes another day for today."""
    return _NOW.sub(lambda hit: json.dumps(day.strftime(hit[2])), source)
