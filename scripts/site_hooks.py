"""What MkDocs is told about the pages of docs/ while it builds the site; see mkdocs.yml."""

import re
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent.parent / "docs" / "recipes"
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:src|studies|bench|scripts|[A-Z]+[.\w]*)[^)]*\)")


def on_config(config: Any) -> Any:
    """Put the page of every recipe behind the list of them."""
    (recipes,) = (one["Recipes"] for one in config.nav if "Recipes" in one)
    pages = sorted(path.stem for path in RECIPES.glob("*.md"))
    recipes += [{name: f"recipes/{name}.md"} for name in pages if name != "index"]
    return config


def on_page_markdown(markdown: str, **context: Any) -> str:
    """Leave the words of links to files that are in the repository only."""
    return OUTSIDE.sub(r"\1", markdown)


def on_page_context(context: Any, page: Any, config: Any, **more: Any) -> Any:
    """Give Korean pages Korean labels."""
    config.theme["language"] = "ko" if page.url.startswith("ko/") else "en"
    return context
