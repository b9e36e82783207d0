"""Named recipes: the methods that people publish, as data files of the package."""

from pathlib import Path

from kollama2 import recipes as _package
from kollama2.engine.document import Document, near
from kollama2.errors import BadUsage
from kollama2.study.schema import RecipeFile

FOLDER = Path(_package.__file__).parent


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def document(name: str) -> Document:
    """The file of a recipe.

    Raises:
        BadUsage: no recipe has this name; the nearest one is suggested.
    """
    if name not in names():
        raise BadUsage(f"no recipe is called {name!r}; {near(name, names())}")
    return Document(FOLDER / f"{name}.yaml")


def load(name: str) -> RecipeFile:
    """Read one recipe.

    Raises:
        BadUsage: no recipe has this name, or its file asks for something impossible.
    """
    return document(name).read(RecipeFile)


def source_of(recipe: RecipeFile, step: int, field: str) -> str:
    """Where the value of a step's field comes from; steps count from 1."""
    numbers = recipe.numbers
    return numbers.get(f"{step}.{field}", "" if field == "kind" else numbers.get(field, ""))
