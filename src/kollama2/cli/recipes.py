"""How named recipes are shown on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from kollama2.locale import say
from kollama2.study.recipes import source_of
from kollama2.study.schema import RecipeFile


def listing(recipes: Sequence[RecipeFile]) -> Table:
    """All recipes, a line each, by family."""
    table = Table(say("family"), say("recipe"), say("what it is"))
    for recipe in sorted(recipes, key=lambda one: (one.family, one.name)):
        table.add_row(recipe.family, recipe.name, escape(recipe.title))
    return table


def explain(recipe: RecipeFile) -> RenderableType:
    """One recipe: what it is, its steps, and where every number comes from."""
    heads = say("key"), say("value"), say("where it comes from")
    steps = Table(*heads, title=say("steps and settings"), title_justify="left")
    for number, step in enumerate(recipe.steps, start=1):
        for key, value in step.items():
            steps.add_row(
                f"{number}. {key}", escape(str(value)), escape(source_of(recipe, number, key))
            )
    more = [
        (say("evidence"), recipe.evidence),
        (say("when to use it"), recipe.when),
        (say("cost"), recipe.cost),
    ]
    sources = ", ".join(f"{name} = {spec.uri}" for name, spec in recipe.sources.items())
    return Group(
        f"[bold]{recipe.name}[/]  {escape(recipe.title)}",
        "",
        escape(recipe.about.strip()),
        "",
        say("base: {base}   template: {template}", base=recipe.base.uri, template=recipe.template),
        say("sources: {sources}", sources=escape(sources)),
        steps,
        *(f"{what}: {escape(text.strip())}" for what, text in more if text),
        *(say("note: {note}", note=escape(note)) for note in recipe.notes),
        "",
        f"kollama2 adapt {recipe.base.uri} --recipe {recipe.name} -o OUT",
    )
