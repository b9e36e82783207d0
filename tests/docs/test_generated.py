"""Pages and pictures that are written from the code are those of this code."""

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

from kollama2.study import recipes

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def script(name: str) -> dict[str, Any]:
    """The names that a script defines, without what it does when it is called."""
    return runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))


def test_the_picture_is_that_of_the_code() -> None:
    """Where it is not: `just pages`."""
    drawn = script("draw_architecture")["picture"]()
    assert (DOCS / "architecture.svg").read_text(encoding="utf-8") == drawn


def test_the_figure_of_the_readme_is_that_of_its_leaderboard() -> None:
    """Where it is not: `python scripts/draw_tradeoff.py docs/smollm2.json docs/smollm2.svg`."""
    names = script("draw_tradeoff")
    found = names["points"](json.loads((DOCS / "smollm2.json").read_text(encoding="utf-8")))
    assert len(found) == 10  # all recipes but the base
    assert (DOCS / "smollm2.svg").read_text(encoding="utf-8") == names["drawn"](found)


def test_arrows_that_follow_from_others_are_left_out() -> None:
    needed = script("draw_architecture")["needed"]
    assert needed({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == [("a", "b"), ("b", "c")]
    assert needed({"a": {"b", "c"}, "b": set(), "c": set()}) == [("a", "b"), ("a", "c")]


def test_every_package_has_its_paragraph_from_the_bottom_to_the_top() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    floors = script("draw_architecture")["floors"]()
    places = [[text.index(f"\n**`{name}`**: ") for name in floor] for floor in floors]
    for upper, lower in itertools.pairwise(places):
        assert min(upper) > max(lower)


def test_the_page_of_commands_is_that_of_the_commands() -> None:
    """Where it is not: `just pages`."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == script("write_cli_page")["page"]()


def test_the_page_of_commands_tells_what_a_reader_looks_for() -> None:
    page = script("write_cli_page")["page"]()
    assert "| [`kollama2 data check`](#kollama2-data-check) | Show what a file of" in page
    assert "\n    kollama2 adapt [OPTIONS] {base}\n" in page
    assert (
        "\n| `--seed <int range>` | Seed for training. | default: 0; x>=0 |\n" in page
        and "\n| `--recipe <str>` | Name of a recipe (see `kollama2 recipes`). | required |\n"
        in page
    )
    codes = [line.split()[1] for line in page.splitlines() if line.startswith("| ")]
    numbers = [int(code) for code in codes if code.isdigit()]
    assert numbers == [0, 64, 65, 69, 70, 74, 75, 76, 77, 130]


def test_the_list_of_recipes_is_that_of_their_files() -> None:
    """Where it is not: `just pages`."""
    every = [recipes.load(name) for name in recipes.names()]
    written = script("write_recipe_pages")["overview"](every)
    assert (DOCS / "recipes" / "index.md").read_text(encoding="utf-8") == written
    assert all(f"\n## {recipe.family}\n" in written for recipe in every)
