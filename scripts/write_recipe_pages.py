"""Write the pages of the named recipes whose files hold all that a page says."""

from pathlib import Path

from kollama2.study import recipes
from kollama2.study.pages import page

FOLDER = Path(__file__).parent.parent / "docs" / "recipes"

for name in recipes.names():
    recipe = recipes.load(name)
    if recipe.evidence:
        (FOLDER / f"{name}.md").write_text(page(recipe), encoding="utf-8")
        print(FOLDER / f"{name}.md")
