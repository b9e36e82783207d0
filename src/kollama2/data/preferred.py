"""Two answers out of a row, of which one is preferred, and all that stands before both.

An answer may come alone, or as the end of a whole chat; then the chat is what it answers, system
turn included, and not only the question that a column beside it repeats.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kollama2.data.forms import cell
from kollama2.data.turns import Unusable, in_turn, read_history, read_turns, text_of, unpacked
from kollama2.model.messages import Message, Role

_SPEAKERS = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


def read_preference(
    row: Mapping[str, Any], roles: Mapping[str, str], changes: Counter[str]
) -> tuple[tuple[Message, ...], Message]:
    """A chat that ends with the chosen answer, and the rejected answer to the same.

    Args:
        row: all cells.
        roles: which column plays which role of the form `preference`.
        changes: gets what was changed.

    Raises:
        Unusable: there are no two answers to one prompt, or they are the same.
    """
    chosen, rejected = (_answer(row, roles[role], changes) for role in ("chosen", "rejected"))
    prompt = _prompt(_given(row, roles, changes), chosen, rejected)
    if not prompt or prompt[-1]["role"] not in {"user", "tool"}:
        raise Unusable("there is no question that the two answers answer")
    better, worse = (in_turn([*prompt, answers[-1]], changes) for answers in (chosen, rejected))
    if better == worse:
        raise Unusable("the chosen and the rejected answer are the same")
    changes["preferred answer taken"] += 1
    return better, worse[-1]


def _answer(row: Mapping[str, Any], column: str, changes: Counter[str]) -> list[Message]:
    """The turns of an answer, the answer last."""
    said = _said(row.get(column), column, "assistant", changes)
    if not said or not (said[-1]["content"] or said[-1].get("tool_calls")):
        raise Unusable(f'the "{column}" is empty')
    if said[-1]["role"] != "assistant":
        raise Unusable(f'the "{column}" does not end with an answer')
    return said


def _given(
    row: Mapping[str, Any], roles: Mapping[str, str], changes: Counter[str]
) -> list[Message]:
    """What the columns beside the answers say that was asked: system turn, history, prompt."""
    said = read_history(cell(row, roles, "history"), changes)
    for role in ("turns", "prompt"):
        found = _said(cell(row, roles, role), roles.get(role, ""), "user", changes)
        if found:
            said += found
            break
    while said and said[-1]["role"] == "assistant" and not said[-1]["content"]:
        del said[-1]  # where Anthropic's form has the answer begin
    more = text_of(cell(row, roles, "input"), "input", changes)
    if more and said:
        said[-1] = {**said[-1], "input": more}
    system = text_of(cell(row, roles, "system"), "system", changes)
    return [{"role": "system", "content": system}, *said] if system else said


def _prompt(given: list[Message], chosen: list[Message], rejected: list[Message]) -> list[Message]:
    """All that stands before both answers.

    Raises:
        Unusable: the answers stand behind different things.
    """
    begun = chosen[:-1] or rejected[:-1]
    if rejected[:-1] not in ([], begun) or chosen[:-1] not in ([], begun):
        raise Unusable("the two answers stand behind different turns")
    if not begun:
        return given
    asked, known = _unled(begun), _unled(given)
    size = len(known)
    # A column may repeat the whole chat, its beginning, or its last question.
    if known not in (([*asked, chosen[-1]])[:size], asked[len(asked) - size :]):
        raise Unusable("the answers stand behind other turns than the prompt")
    led = begun if len(begun) > len(asked) else given
    return [*led[: len(led) - len(_unled(led))], *asked]


def _unled(said: list[Message]) -> list[Message]:
    """The turns of a chat without the system turn before them."""
    return said[1:] if said and said[0]["role"] == "system" else said


def _said(value: Any, column: str, speaker: Role, changes: Counter[str]) -> list[Message]:
    """The turns of a cell: a list or their JSON text, Anthropic's dialogs, or one of `speaker`."""
    turns = unpacked(value)
    if isinstance(turns, (dict, list)) and (turns is value or _are_turns(turns)):
        return read_turns(turns, column, changes)
    if isinstance(value, str) and value.lstrip().startswith("Human:"):
        _, *parts = _SPEAKERS.split(value.strip())
        return [
            {"role": "user" if name == "Human" else "assistant", "content": said}
            for name, text in zip(parts[::2], parts[1::2], strict=True)
            for said in [text_of(text, column, changes)]
        ]
    text = text_of(value, column, changes)
    return [{"role": speaker, "content": text}] if text else []


def _are_turns(value: Any) -> bool:
    """Whether JSON out of a text is turns, and not an answer that is JSON."""
    turns = value if isinstance(value, list) else [value]
    return bool(turns) and all(
        isinstance(one, dict) and {"role", "from"} & set(one) for one in turns
    )
