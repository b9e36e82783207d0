"""The page of a named recipe, written from its file, so that the two cannot differ."""

import textwrap
from typing import Any

from kollama2.study.schema import RecipeFile

_WIDTH = 100


def source_of(recipe: RecipeFile, step: int, field: str) -> str:
    """Where the value of a step's field comes from; steps count from 1."""
    numbers = recipe.numbers
    return numbers.get(f"{step}.{field}", "" if field == "kind" else numbers.get(field, ""))


def page(recipe: RecipeFile) -> str:
    """The page in Markdown: what it is, evidence, when to use it, cost, every number, notes."""
    parts = [
        f"# {recipe.name}\n\n{recipe.title}\n",
        f"    kollama2 adapt {recipe.base.uri} --recipe {recipe.name} -o OUT\n",
        f"## What it is\n\n{_filled(recipe.about)}",
        f"## Evidence\n\n{_filled(recipe.evidence)}",
        f"## When to use it\n\n{_filled(recipe.when)}",
        f"## Cost at 7B\n\n{_filled(recipe.cost)}",
        f"## Numbers\n\n{_numbers(recipe)}",
    ]
    if recipe.notes:
        parts.append("## Notes\n\n" + "".join(f"- {note.strip()}\n" for note in recipe.notes))
    return "\n".join(parts)


def _filled(text: str) -> str:
    return textwrap.fill(text.strip(), _WIDTH) + "\n"


def _numbers(recipe: RecipeFile) -> str:
    rows = ["| step | field | value | source |", "|--:|---|---|---|"]
    if "template" in recipe.numbers:
        rows.append(f"| | template | {recipe.template} | {recipe.numbers['template']} |")
    for number, step in enumerate(recipe.steps, 1):
        for field, value in step.items():
            if field == "kind":
                rows.append(f"| {number} | | {value} | |")
            else:
                where = source_of(recipe, number, field)
                rows.append(f"| {number} | {field} | {_shown(value)} | {where} |")
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(share)}" for name, share in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "; ".join(map(_shown, value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
