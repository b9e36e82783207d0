"""From a parsed row of a known form to an `Example`, counting everything that is changed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kollama2.data import hangul
from kollama2.data.forms import Example, match
from kollama2.data.lines import Reject, Row, sample_of
from kollama2.model.messages import Message

_SPEAKERS: Mapping[str, Literal["system", "user", "assistant"]] = {
    **dict.fromkeys(("system",), "system"),
    **dict.fromkeys(
        ("human", "user", "prompt", "prompter", "instructor", "사용자", "사람"), "user"
    ),
    **dict.fromkeys(
        (
            "gpt",
            "assistant",
            "chatgpt",
            "bing",
            "bard",
            "claude",
            "bot",
            "chatbot",
            "model",
            "챗봇",
        ),
        "assistant",
    ),
}
_TO_KOREAN = "다음 영어를 한국어로 번역하세요."
_TO_ENGLISH = "Translate the following Korean into English."


class _Unusable(Exception):
    """A row cannot be used; its text is the reason."""


class Normaliser:
    """Makes the rows of one file examples.

    Attributes:
        form: one of `FORMS`.
        counts: how many rows were changed, by what was done to them.
    """

    def __init__(
        self, form: str, file: str, columns: Mapping[str, str] | None, counts: Counter[str]
    ) -> None:
        self.form = form
        self.counts = counts
        self._file = file
        self._columns = dict(columns) if columns else None
        self._matched: dict[tuple[str, ...], dict[str, str] | None] = {}

    def example(self, row: Row) -> Example | Reject:
        """Return the row as an example, or why it cannot be one."""
        changes: Counter[str] = Counter()
        try:
            found = self._read(row, changes)
        except _Unusable as error:
            return Reject(row.line, str(error), sample_of(row.value), self._file)
        self.counts.update(dict.fromkeys(changes, 1))
        return found

    def _read(self, row: Row, changes: Counter[str]) -> Example:
        value = row.value
        if isinstance(value, str):
            value = {"text": value}
        roles = self._roles(tuple(value))
        if self.form in {"messages", "sharegpt"}:
            return Example(row.line, self._turns(value, roles, changes), file=self._file)
        cells = {
            role: _text(value.get(column), role, changes)
            for role, column in roles.items()
            if role != "id"
        }
        for role in ("instruction", "output", "en", "ko", "text"):
            if role in cells and not cells[role]:
                raise _Unusable(f'the "{roles[role]}" is empty')
        if self.form == "text":
            return Example(row.line, text=cells["text"], file=self._file)
        if self.form == "document":
            text = "\n\n".join(filter(None, (cells["title"], cells["text"])))
            return Example(row.line, text=text, file=self._file)
        if self.form == "pairs":
            return self._pair(row.line, cells["en"], cells["ko"])
        ask: Message = {"role": "user", "content": cells["instruction"]}
        if cells.get("input"):
            ask["input"] = cells["input"]
        return Example(
            row.line, self._chat(cells.get("system", ""), ask, cells["output"]), "", self._file
        )

    def _roles(self, keys: tuple[str, ...]) -> dict[str, str]:
        if keys not in self._matched:
            self._matched[keys] = match(self.form, keys, self._columns)
        roles = self._matched[keys]
        if roles is None:
            raise _Unusable(f"has no columns of the form {self.form} (found {', '.join(keys[:8])})")
        return roles

    def _pair(self, line: int, english: str, korean: str) -> Example:
        # Both directions are taught in turn: one alone leaves the other near zero
        # (research on translation data: a model learns only the direction it sees).
        if line % 2:
            task, source, target = _TO_KOREAN, english, korean
        else:
            task, source, target = _TO_ENGLISH, korean, english
        ask: Message = {"role": "user", "content": task, "input": source}
        return Example(line, self._chat("", ask, target), f"{source}\n{target}", self._file)

    def _chat(self, system: str, ask: Message, answer: str) -> tuple[Message, ...]:
        before: tuple[Message, ...] = ({"role": "system", "content": system},) if system else ()
        return (*before, ask, {"role": "assistant", "content": answer})

    def _turns(
        self, value: Mapping[str, Any], roles: Mapping[str, str], changes: Counter[str]
    ) -> tuple[Message, ...]:
        turns = value.get(roles["turns"])
        if not isinstance(turns, list):
            raise _Unusable(f'"{roles["turns"]}" is not a list of turns')
        chosen = value.get(roles.get("chosen", ""))
        if isinstance(chosen, dict):
            turns = [*turns, chosen]
            changes["preferred answer taken"] += 1
        elif isinstance(chosen, list):
            turns = chosen
            changes["preferred answer taken"] += 1
        system = _text(value.get(roles.get("system", "")), "system", changes)
        said = [_turn(turn, changes) for turn in turns]
        if system:
            said.insert(0, {"role": "system", "content": system})
        return _in_turn(said, changes)


def _turn(turn: Any, changes: Counter[str]) -> Message:
    if not isinstance(turn, dict):
        raise _Unusable("a turn is not an object")
    speaker = turn.get("from", turn.get("role"))
    role = _SPEAKERS.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if role is None:
        raise _Unusable(f"a turn of the unknown role {speaker!r}")
    content = turn.get("value", turn.get("content"))
    if isinstance(content, list):  # OpenAI's list of parts
        content = _parts(content)
    return {"role": role, "content": _text(content, f"{role} turn", changes)}


def _parts(parts: Iterable[Any]) -> str:
    texts = []
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise _Unusable("a turn holds something other than text")
        texts.append(part["text"])
    return "\n".join(texts)


def _in_turn(said: list[Message], changes: Counter[str]) -> tuple[Message, ...]:
    """Return the turns as an optional system message, then user and assistant in turn."""
    joined = list[Message]()
    for message in said:
        if not message["content"]:
            if message["role"] == "system":
                continue
            raise _Unusable(f"an empty {message['role']} turn")
        if joined and joined[-1]["role"] == message["role"]:
            content = f"{joined[-1]['content']}\n\n{message['content']}"
            joined[-1] = {"role": message["role"], "content": content}
            changes["turns of one speaker joined"] += 1
        else:
            joined.append(message)
    start = int(bool(joined) and joined[0]["role"] == "system")
    if any(message["role"] == "system" for message in joined[start:]):
        raise _Unusable("a system turn in the middle")
    if joined[start:] and joined[start]["role"] == "assistant":
        del joined[start]
        changes["first turn by the model dropped"] += 1
    if joined[start:] and joined[-1]["role"] == "user":
        del joined[-1]
        changes["last turn without an answer dropped"] += 1
    if len(joined) == start:
        raise _Unusable("no user turn with an answer")
    return tuple(joined)


def _text(value: Any, what: str, changes: Counter[str]) -> str:
    """Return a cell as NFC text without white space around it."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _Unusable(f'the "{what}" is a {type(value).__name__}, not text')
    if "\0" in value:
        raise _Unusable("holds a NUL character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _Unusable("not UTF-8 (a lone surrogate or a broken byte)") from None
    text: str = value
    if "\r\n" in text:
        changes["CRLF made LF"] += 1
        text = text.replace("\r\n", "\n")
    if not hangul.is_nfc(text):
        changes["composed to NFC"] += 1
        text = hangul.nfc(text)
    return text.strip()
