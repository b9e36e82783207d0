"""Write the pages of the named recipes whose files hold all that a page says, and their list."""

from collections.abc import Sequence
from pathlib import Path

from kollama2.study import recipes
from kollama2.study.pages import page
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


if __name__ == "__main__":
    known = [recipes.load(name) for name in recipes.names()]
    pages = {recipe.name: page(recipe) for recipe in known if recipe.evidence}
    for name, text in {**pages, "index": overview(known)}.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        print(FOLDER / f"{name}.md")
