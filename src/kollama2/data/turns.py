"""Turns of a chat out of a row: who speaks, what is said, which functions are called."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kollama2.data.decode import parse
from kollama2.data.forms import is_filled
from kollama2.data.lines import what_is
from kollama2.errors import writable
from kollama2.korean import hangul
from kollama2.model.messages import Message, Role, Tool, is_learned

_CALLERS = ("function_call", "tool_call")
_NAMES: Mapping[Role, str] = {
    "system": "system developer",
    "user": "human user prompt prompter instructor 사용자 사람",
    "assistant": "gpt assistant chatgpt bing bard claude bot chatbot model 챗봇 "
    + " ".join(_CALLERS),
    "tool": "tool function observation tool_response function_response",
}
_SPEAKERS: Mapping[str, Role] = {
    name: role for role, names in _NAMES.items() for name in names.split()
}
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
# Whether an answer is learned: OpenAI's name, Axolotl's two, ms-swift's.
_MARKS = ("weight", "train", "training", "loss")
_READ = frozenset(
    "from role value content name tool_calls function_call tool_call_id".split()
).union(_THOUGHTS, _MARKS)
_SCALARS = (bool, int, float, type(None))


class Unusable(Exception):
    """A row cannot be used; its text is the reason."""


def read_turn(turn: Any, changes: Counter[str]) -> Message:
    """One turn in OpenAI's or ShareGPT's form as a message; what was changed is counted.

    Raises:
        Unusable: it cannot be meant.
    """
    if not isinstance(turn, dict):
        raise Unusable("a turn is not an object")
    speaker = _either(turn, "from", "role", _meant)
    named = _named(speaker)
    role = _SPEAKERS.get(named)
    if role is None:
        raise Unusable(f"a turn of the unknown role {_shown(speaker)}")
    changes.update(
        f'"{key}" of turns not used' for key in turn.keys() - _READ if is_filled(turn[key])
    )
    content, calls = _either(turn, "value", "content"), turn.get("tool_calls")
    if named in _CALLERS:
        content, calls = None, content
    elif turn.get("function_call"):  # OpenAI's form before there were several
        calls = turn["function_call"]
    if isinstance(content, list):  # OpenAI's list of parts
        content = _parts(content)
    elif isinstance(content, dict) and role == "tool":
        content = json.dumps(content, ensure_ascii=False)
    message: Message = {"role": role, "content": text_of(content, f"{role} turn", changes)}
    if calls:
        message["tool_calls"] = _calls(calls, changes)
    thought = next((turn[name] for name in _THOUGHTS if turn.get(name)), None)
    if thought is not None:
        message["reasoning"] = text_of(thought, "reasoning", changes)
    if role == "assistant" and not _is_taught(turn):
        message["weight"] = 0
    if role != "assistant" and (calls or thought):
        raise Unusable(f"a {role} turn that {'calls a tool' if calls else 'thinks'}")
    if role == "tool":
        if turn.get("name"):
            message["name"] = text_of(turn["name"], "name", changes)
        if turn.get("tool_call_id"):
            message["tool_call_id"] = text_of(turn["tool_call_id"], "tool_call_id", changes)
    return message


def _named(speaker: Any) -> str:
    return speaker.strip().lower() if isinstance(speaker, str) else ""


def _meant(speaker: Any) -> Any:
    return _SPEAKERS.get(_named(speaker), speaker)


def _either(
    turn: Mapping[str, Any], one: str, other: str, means: Callable[[Any], Any] = lambda value: value
) -> Any:
    """What a turn says under ShareGPT's or OpenAI's name, of which one may be empty."""
    said = [turn[name] for name in (one, other) if turn.get(name) is not None]
    if len(said) > 1 and means(said[0]) != means(said[1]):
        raise Unusable(f'a turn whose "{one}" and "{other}" differ')
    return said[0] if said else None


def _shown(value: Any) -> str:
    """A value as JSON writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_taught(turn: Mapping[str, Any]) -> bool:
    """Whether an answer is learned; any of the marks that tools have for this may deny it."""
    taught = True
    for mark in _MARKS:
        value = turn.get(mark)
        if value is None or value != value:  # NaN, pandas' empty cell
            continue
        if value not in (0, 1):
            raise Unusable(f"a turn of the {mark} {_shown(value)}, which is neither 0 nor 1")
        taught = taught and bool(value)
    return taught


def read_turns(value: Any, column: str, changes: Counter[str]) -> list[Message]:
    """The turns of a column: a list of them, one alone, or the JSON text of these.

    Raises:
        Unusable: it holds something else, or one of them cannot be meant.
    """
    turns = unpacked(value)
    if isinstance(turns, dict):
        turns = [turns]
    if not isinstance(turns, list):
        raise Unusable(f'"{column}" is not a list of turns')
    return [read_turn(turn, changes) for turn in turns]


def read_history(value: Any, changes: Counter[str]) -> list[Message]:
    """The turns before an instruction: [question, answer] pairs, turns, or the JSON text of these.

    Raises:
        Unusable: they are something else.
    """
    pairs = unpacked(value) or []
    if isinstance(pairs, list) and pairs and isinstance(pairs[0], dict):
        turns = read_turns(pairs, "history", changes)
        if turns[-1]["role"] != "assistant":
            raise Unusable('the "history" does not end with an answer')
        return turns
    said = list[Message]()
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unusable('the "history" is not a list of [question, answer] pairs')
        question, answer = (text_of(one, "history", changes) for one in pair)
        said.append({"role": "user", "content": question})
        said.append({"role": "assistant", "content": answer})
    return said


def unpacked(value: Any) -> Any:
    """A value that is stored as its JSON text; anything else, other texts too, as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return parse(value)
    except ValueError:
        return value


def _parts(parts: Iterable[Any]) -> str:
    texts = []
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise Unusable("a turn holds something other than text")
        texts.append(part["text"])
    return "\n".join(texts)


def _calls(value: Any, changes: Counter[str]) -> list[dict[str, Any]]:
    """Calls of functions in OpenAI's form out of one or several, bare or not, or of their JSON."""
    value = _parsed(value, "a call of a tool is")
    found = list[dict[str, Any]]()
    for one in value if isinstance(value, list) else [value]:
        call = _function(one, "a call of a tool")
        given = call.get("arguments", call.get("parameters"))
        if isinstance(told := unpacked(given), dict):
            given = told
        arguments = {} if given is None or given == "" else _tidy(given, changes)
        plain = {"name": text_of(call["name"], "name", changes), "arguments": arguments}
        known = {"id": str(one["id"])} if one.get("id") else {}
        found.append({**known, "type": "function", "function": plain})
    return found


def read_tools(value: Any, changes: Counter[str]) -> tuple[Tool, ...]:
    """The functions that a row tells of, in OpenAI's form: a list, bare or not, or its JSON.

    Raises:
        Unusable: they cannot be read.
    """
    value = _parsed(value, "the tools are") if value else []
    found = list[Tool]()
    for one in value if isinstance(value, list) else [value]:
        tool = _parsed(one, "a tool is")
        function = _function(tool, "a tool")
        whole = tool if function is not tool else {"type": "function", "function": function}
        found.append(_tidy(whole, changes))
    return tuple(found)


def _parsed(value: Any, what: str) -> Any:
    """The value that a text is as JSON; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value) if value.strip() else []
    except ValueError:
        raise Unusable(f"{what} not JSON") from None


def _function(value: Any, what: str) -> dict[str, Any]:
    """The function in a tool or in a call of one, which may be bare."""
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Unusable(f"{what} has no name of a function")
    return function


def _tidy(value: Any, changes: Counter[str]) -> Any:
    """A JSON value whose texts are NFC."""
    if isinstance(value, str):
        return _sound(value, changes)
    if isinstance(value, dict):
        return {_sound(str(key), changes): _tidy(one, changes) for key, one in value.items()}
    if isinstance(value, list):
        return [_tidy(one, changes) for one in value]
    if not isinstance(value, _SCALARS):
        raise Unusable(f"a tool or a call of one holds {what_is(value)}")
    return value


def in_turn(said: list[Message], changes: Counter[str]) -> tuple[Message, ...]:
    """Messages as an optional system turn, then user and assistant in turn, the assistant last.

    Between them may stand calls of tools and what these answered.

    Raises:
        Unusable: they cannot be brought into this order.
    """
    joined = list[Message]()
    for message in said:
        if not message["content"] and not message.get("tool_calls"):
            if message["role"] == "system":
                continue
            if message["role"] != "tool":
                raise Unusable(f"an empty {message['role']} turn")
        if joined and joined[-1]["role"] == message["role"] != "tool":
            joined[-1] = _joined(joined[-1], message)
            changes["turns of one speaker joined"] += 1
        else:
            joined.append(message)
    start = int(bool(joined) and joined[0]["role"] == "system")
    if any(message["role"] == "system" for message in joined[start:]):
        raise Unusable("a system turn in the middle")
    if joined[start:] and joined[start]["role"] == "assistant":
        del joined[start]
        changes["first turn by the model dropped"] += 1
    while joined[start:] and joined[-1]["role"] != "assistant":
        del joined[-1]
        changes["last turn without an answer dropped"] += 1
    if len(joined) == start:
        raise Unusable("no user turn with an answer")
    if not any(message["role"] == "assistant" and is_learned(message) for message in joined):
        raise Unusable("every answer has the weight 0, so that nothing is learned")
    for before, after in zip([None, *joined[start:]], joined[start:], strict=False):
        _check_order(before, after)
    return tuple(joined)


def _joined(one: Message, other: Message) -> Message:
    """Two turns of one speaker as one."""
    if one.get("tool_calls") and other["content"]:
        raise Unusable("a call of a tool without a result")
    if is_learned(one) != is_learned(other):
        raise Unusable("two turns of the assistant in a row, of which one has the weight 0")
    found: Message = {"role": one["role"], "content": ""}
    if not is_learned(one):
        found["weight"] = 0
    found["content"] = "\n\n".join(filter(None, (one["content"], other["content"])))
    calls = [*one.get("tool_calls", []), *other.get("tool_calls", [])]
    if calls:
        found["tool_calls"] = calls
    thoughts = [m["reasoning"] for m in (one, other) if "reasoning" in m]
    if thoughts:
        found["reasoning"] = "\n\n".join(thoughts)
    return found


def _check_order(before: Message | None, after: Message) -> None:
    calls = before is not None and bool(before.get("tool_calls"))
    asked = calls or (before is not None and before["role"] == "tool")
    if after["role"] == "tool" and not asked:
        raise Unusable("a result of a tool that was not called")
    if after["role"] == "user" and asked:
        what = "call of a tool without a result" if calls else "result of a tool without an answer"
        raise Unusable(f"a {what}")


def text_of(value: Any, what: str, changes: Counter[str]) -> str:
    """A cell as NFC text without white space around it; what was changed is counted.

    Raises:
        Unusable: it is no text.
    """
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            if math.isnan(value):  # pandas' empty cell
                return ""
            raise Unusable(f'the "{what}" is no number: {value}')
        return str(value)
    if not isinstance(value, str):
        raise Unusable(f'the "{what}" is {what_is(value)}, not text')
    return _sound(value, changes).strip()


def _sound(text: str, changes: Counter[str]) -> str:
    if "\0" in text:
        raise Unusable("holds a NUL character")
    if not writable(text):
        raise Unusable("not UTF-8 (a lone surrogate or a broken byte)")
    if "\r\n" in text:
        changes["CRLF made LF"] += 1
        text = text.replace("\r\n", "\n")
    if not hangul.is_nfc(text):
        changes["composed to NFC"] += 1
        text = hangul.nfc(text)
    return text
