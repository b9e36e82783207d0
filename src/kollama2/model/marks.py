"""Marks: noncharacters behind contents and calls, which show where a template puts them."""

import re
from collections.abc import Mapping
from typing import Any

from kollama2.errors import BadData

MARK = "\ufdd1"
_MARKS = re.compile(f"{MARK}([0-9.]+){MARK}")


def mark(name: str) -> str:
    """The mark of a name: the number of a turn, with that of a call behind a point."""
    return f"{MARK}{name}{MARK}"


def _is_marked(turn: Mapping[str, Any]) -> bool:
    return turn["role"] != "system" and bool(turn["content"].strip())


def marked(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns with marks: behind the last visible character of a content, and the name of a call."""
    found = list[dict[str, Any]]()
    for number, turn in enumerate(turns):
        changed = dict(turn)
        if _is_marked(turn):
            content = turn["content"]
            end = len(content.rstrip())
            changed["content"] = content[:end] + mark(f"{number}") + content[end:]
        if "tool_calls" in turn:
            changed["tool_calls"] = [
                {**call, "function": {**function, "name": function["name"] + mark(name)}}
                for name, call in _calls(number, turn)
                for function in [call["function"]]
            ]
        found.append(changed)
    return found


def _calls(number: int, turn: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The calls in a turn with the names of their marks."""
    return [(f"{number}.{k}", call) for k, call in enumerate(turn.get("tool_calls", ()))]


def places(turns: list[dict[str, Any]], text: str, shown: str) -> dict[str, int]:
    """Where in `text` what is marked ends, by the mark; empty where marks change what is written.

    Args:
        turns: the chat.
        text: what the template writes for it.
        shown: what it writes for the same with marks.

    Raises:
        BadData: the template leaves out what a turn says, or a call.
    """
    if _MARKS.sub("", shown) != text:
        return {}
    found, before = dict[str, int](), 0
    for hit in _MARKS.finditer(shown):
        found[hit[1]] = hit.start() - before
        before += len(hit[0])
    for number, turn in enumerate(turns):
        calls = _calls(number, turn)
        if any(name not in found for name, _ in calls):
            raise BadData("the model's chat template has no form for calls of tools")
        if f"{number}" not in found and _is_marked(turn) and not calls:
            what = "results of tools" if turn["role"] == "tool" else f"a turn by {turn['role']}"
            raise BadData(f"the model's chat template leaves out {what}")
    return found
