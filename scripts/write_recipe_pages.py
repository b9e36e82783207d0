"""Write the pages of the named recipes whose files hold all that a page says, and their list."""

from pathlib import Path

from kollama2.study import recipes
from kollama2.study.pages import overview, page

FOLDER = Path(__file__).parent.parent / "docs" / "recipes"

every = [recipes.load(name) for name in recipes.names()]
pages = {recipe.name: page(recipe) for recipe in every if recipe.evidence}
for name, text in {**pages, "index": overview(every)}.items():
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    print(FOLDER / f"{name}.md")
