"""Write the pages of the named recipes whose files hold all that a page says, and their list."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kollama2.study import recipes
from kollama2.study.recipes import source_of
from kollama2.study.schema import RecipeFile

FOLDER = Path(__file__).parent.parent / "docs" / "recipes"
FAMILIES = {
    "cpt": "More pre-training: the base reads Korean text before it learns to answer.",
    "vocabulary": "A larger vocabulary: Korean pieces, then training that fills their rows.",
    "sft": "Instructions: the model learns to answer in Korean.",
    "preference": "Preferences: of two answers the better one is made likelier.",
    "merge": "Merges: what two models learned apart is added.",
}
OPENING = """\
# Named recipes

A recipe is a path of steps with the source of every number. `kollama2 recipes` lists them,
`kollama2 recipes NAME` explains one, and this trains a model by it:

    kollama2 adapt BASE --recipe NAME --data FILE -o OUT

Which one is best depends on base, data and budget; a study says so. What studies have said is in
[the journal](../journal.md), what each of their settings means in [the settings](../settings.md).
"""


def overview(every: Sequence[RecipeFile]) -> str:
    """The list of all recipes in Markdown, by family."""
    parts = [OPENING]
    for family, about in FAMILIES.items():
        rows = [
            f"| [{recipe.name}]({recipe.name}.md) | {recipe.title} |"
            for recipe in every
            if recipe.family == family
        ]
        table = "\n".join(["| recipe | what it is |", "|---|---|", *rows])
        parts.append(f"## {family}\n\n{about}\n\n{table}\n")
    return "\n".join(parts)


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
    return textwrap.fill(text.strip(), 100) + "\n"


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


if __name__ == "__main__":
    known = [recipes.load(name) for name in recipes.names()]
    pages = {recipe.name: page(recipe) for recipe in known if recipe.evidence}
    for name, text in {**pages, "index": overview(known)}.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        print(FOLDER / f"{name}.md")
