"""What is right in a row of a chat task, whatever way its data say it."""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from kollama2.errors import BadData
from kollama2.evaluation.chats import LETTERS, ExactMatch, InstructionRules
from kollama2.evaluation.extract import number, written


def complete(task: ExactMatch | InstructionRules, row: dict[str, Any], where: str) -> None:
    """Check a row of a chat task and write down what the measures need, in place.

    `question` becomes the text that the prompts show. Of `ExactMatch`, `golds` becomes all that is
    right and `reference` its first; where there are choices, `choices` become their letters and
    `gold` the position of the first right one. Of `InstructionRules`, `arguments` lose what is
    empty.

    Raises:
        BadData: the row has no usable answer, choices or rules; the message says where.
    """
    if not isinstance(row["question"], str):
        raise BadData(f"{where}: the question {row['question']!r} is no text")
    if isinstance(task, InstructionRules):
        row["rules"], row["arguments"] = _rules(row, where)
        return
    texts = _choices(task, row, where)
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False)]
    context = row.pop("context", None) or ""
    row["question"] = "\n\n".join(
        part.strip() for part in (str(context), row["question"], "\n".join(lines)) if part.strip()
    )
    row.pop("choices", None)
    letters = list(LETTERS[: task.letters or len(texts)])
    row["golds"] = _golds(task, row.pop("gold"), texts, letters, where)
    row["reference"] = row["golds"][0]
    if letters:
        row |= {"choices": letters, "gold": letters.index(row["reference"])}


def _choices(task: ExactMatch, row: dict[str, Any], where: str) -> list[str]:
    """The texts of the choices, in the order of their letters."""
    if task.extract == "number" or task.letters:
        return []
    missing = [one for one in task.choices if one not in row]
    if missing:
        raise BadData(f"{where} has no column {missing[0]!r}")
    # They are in the question now; what stays in a row is recorded with its item.
    found = [row.pop(one) for one in task.choices] if task.choices else row.get("choices")
    if not isinstance(found, list) or not 2 <= len(found) <= len(LETTERS):
        raise BadData(f"{where} has no list of 2 to {len(LETTERS)} choices: {found!r}")
    if not all(isinstance(one, str | int | float) and str(one).strip() for one in found):
        raise BadData(f"{where}: a choice is empty")
    return [str(one).strip() for one in found]


def _golds(
    task: ExactMatch, gold: Any, texts: list[str], letters: list[str], where: str
) -> list[str]:
    if task.gold == "number":
        value = _number(str(gold).strip())
        if value is None:
            raise BadData(f"{where}: the answer {str(gold)[-80:]!r} is no number")
        return [written(value)]
    said = str(gold).strip()
    if task.gold == "letter":
        right = [said.upper()] if said.upper() in letters else []
    elif task.gold == "text":
        # Some data list a choice twice; then both are right.
        right = [one for one, text in zip(letters, texts, strict=True) if text == said]
    else:
        at = int(said) - (task.gold == "from_1") if said.isdecimal() else -1
        right = [letters[at]] if 0 <= at < len(letters) else []
    if not right:
        raise BadData(
            f"{where}: the answer {said[:80]!r} is none of the {len(letters)} choices "
            f"(gold: {task.gold})"
        )
    return right


def _number(said: str) -> Fraction | None:
    try:
        return Fraction(said)
    except ValueError:  # a solution that ends with its result, as GSM8K's do
        return number(said)


def _rules(row: Mapping[str, Any], where: str) -> tuple[list[str], list[dict[str, Any]]]:
    names, found = row["rules"], row["arguments"]
    try:
        arguments = [json.loads(one) if isinstance(one, str) else one or {} for one in found]
    except (TypeError, json.JSONDecodeError):
        arguments = []
    known = all(isinstance(one, dict) for one in arguments)
    if not isinstance(names, list) or not known or len(arguments) != len(names):
        raise BadData(f"{where}: there is not one mapping of arguments for each rule of {names!r}")
    # A table has a column for every argument of any rule; those of other rules are empty there.
    return names, [
        {key: value for key, value in one.items() if value is not None} for one in arguments
    ]
