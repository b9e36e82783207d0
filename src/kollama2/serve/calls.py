"""Calls of functions in what a model wrote, in the two forms that open models write them.

Qwen and others write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one after another;
Llama 3 writes a bare object with `parameters`.
"""

import json
import re
import secrets
from typing import Any

_TAGGED = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


def calls(text: str, names: set[str]) -> tuple[str, list[dict[str, Any]]]:
    """Split an answer into what is said and what is called.

    Args:
        text: the whole answer.
        names: of the functions that were offered.

    Returns:
        The text without its calls, and the calls in OpenAI's form. Where one cannot be read or
        calls another function, all is text, for the client to see.
    """
    tagged = _TAGGED.findall(text)
    found = [_call(one, names) for one in tagged or [text]]
    if any(one is None for one in found):
        return text, []
    return (_TAGGED.sub("", text).strip() if tagged else ""), [one for one in found if one]


def _call(text: str, names: set[str]) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("name") not in names:
        return None
    arguments = said.get("arguments", said.get("parameters"))
    if not isinstance(arguments, dict):
        return None
    return {
        "id": f"call_{secrets.token_hex(12)}",
        "type": "function",
        "function": {
            "name": said["name"],
            "arguments": json.dumps(arguments, ensure_ascii=False),
        },
    }
