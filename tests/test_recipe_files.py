"""What can be checked on the named recipes and their pages without running any of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.write_recipe_pages import page

from kollama2 import recipes
from kollama2.engine.document import Document
from kollama2.miniature.corpora import NAMES
from kollama2.model.templates import check_template
from kollama2.study.schema import Budget, RecipeFile
from kollama2.study.steps import TrainStep, parse_step

FOLDER = Path(recipes.__file__).parent
PAGES = Path(__file__).parent.parent / "docs" / "recipes"
FILES = sorted(FOLDER.glob("*.yaml"))

KEYS = {"name", "family", "title", "about", "base", "template", "sources", "steps"}
KEYS |= {"numbers", "miniature"}
SECTIONS = {"evidence", "when", "cost", "notes"}
TEMPLATES = {"llama2", "kullm", "koalpaca", "vicuna", "plain"}
FIRST = {"kullm-lora", "kullm-qlora", "koalpaca-full", "koalpaca-lora", "vicuna-ko", "korani"}
NAMED = (
    "cpt-full cpt-lora chinese-llama2 llama2-ko eeve redwhale two-by-two tokdist-warm ssu llama-pro"
)
NAMED += (
    " bilingual-sft komt-multitask cscl alma-ko translate-first chat-vector shadow-ft elchat dpo-ko"
)
TRAINS = ("pretrain", "finetune")

pytestmark = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def steps_of(recipe: dict[str, Any], *, small: bool) -> list[dict[str, Any]]:
    twins = recipe["miniature"]["steps"] if small else [{}] * len(recipe["steps"])
    return [{**step, **twin} for step, twin in zip(recipe["steps"], twins, strict=True)]


def named_by(step: dict[str, Any]) -> set[str]:
    """The sources that a step names."""
    found: set[str] = set()
    for key in ("data", "corpus", "calibration", "with", "pairs"):
        value = step.get(key, [])
        for one in [value] if isinstance(value, str) else value:
            found |= named_by(one) if isinstance(one, dict) else {one}
    phases = step.get("phases", [])
    for knot in [phases] if isinstance(phases, dict) else phases:
        found |= set(knot) - {"at"}
    return found


def named_in(recipe: dict[str, Any], *, small: bool) -> set[str]:
    """The sources that a recipe's steps name, and those that these are made of."""
    sources = recipe["miniature"]["sources"] if small else recipe["sources"]
    found = {name for step in steps_of(recipe, small=small) for name in named_by(step)}
    made = [sources[name] for name in found if "pairs" in sources[name]]
    return found | {spec[key] for spec in made for key in ("pairs", "text") if key in spec}


def test_the_named_recipes_are_there(file: Path) -> None:
    assert {f.stem for f in FILES} >= FIRST | set(NAMED.split())


def test_keys_are_known_and_the_file_bears_its_name(file: Path) -> None:
    recipe = read(file)
    assert recipe["name"] == file.stem
    assert KEYS <= set(recipe) <= KEYS | SECTIONS
    assert recipe["family"] in {"sft", "cpt", "vocabulary", "merge", "preference"}
    assert check_template(recipe["template"]) == recipe["template"]
    assert "\n" not in recipe["title"]
    assert 1 <= len(re.findall(r"[.:)](?: |$)", recipe["about"])) <= 12
    assert set(recipe["miniature"]) <= {"base", "sources", "steps"}


@pytest.mark.parametrize("small", [False, True])
def test_every_step_is_read_at_both_sizes(file: Path, small: bool) -> None:
    document, recipe = Document(file), read(file)
    for number, fields in enumerate(steps_of(recipe, small=small)):
        step = parse_step(fields, Budget(), document, ("steps", number))
        if isinstance(step, TrainStep) and small:
            assert step.settings.method == recipe["steps"][number]["method"]
            assert step.settings.bytes is not None
            assert step.settings.bytes <= 200_000


def test_sources_are_those_that_the_steps_name(file: Path) -> None:
    recipe = read(file)
    assert named_in(recipe, small=False) == set(recipe["sources"])
    small = recipe["miniature"]
    assert named_in(recipe, small=True) == set(small["sources"])
    for spec in (recipe["base"], *recipe["sources"].values()):
        assert re.fullmatch(r"hf:[\w.-]+/[\w.-]+|made:[a-z-]+", spec["uri"])
    assert small["base"] == {"uri": "builtin:miniature"}
    for name, spec in small["sources"].items():
        corpus = spec["uri"].removeprefix("builtin:miniature").removeprefix("/")
        form = recipe["sources"].get(name, {}).get("form")
        if form and not corpus.startswith("made:"):
            assert NAMES[corpus] in ({"sharegpt", "alpaca"} if name == "sharegpt" else {form})


def test_every_number_has_its_source_and_no_source_is_left_over(file: Path) -> None:
    recipe = read(file)
    numbers = recipe["numbers"]
    used = {"template"}
    for place, step in enumerate(recipe["steps"], 1):
        for field in set(step) - {"kind"}:
            used.add(f"{place}.{field}" if f"{place}.{field}" in numbers else field)
    assert used == set(map(str, numbers))
    assert all(isinstance(v, str) and len(v) >= 10 for v in numbers.values())
    numeric = [v for step in recipe["steps"] for v in step.values()]
    assert not [v for v in numeric if isinstance(v, str) and re.fullmatch(r"[\d.]+e-?\d+", v)]


def test_the_page_tells_the_same_numbers(file: Path) -> None:
    recipe = read(file)
    text = (PAGES / f"{file.stem}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {file.stem}\n\n{recipe['title']}\n")
    for heading in ("What it is", "Evidence", "When to use it", "Cost at 7B", "Numbers"):
        assert f"\n## {heading}\n" in text
    if "evidence" in recipe:
        # The page is written from the file: python scripts/write_recipe_pages.py
        assert text == page(Document(file).read(RecipeFile))
        return
    (step,) = recipe["steps"]
    for field, where in recipe["numbers"].items():
        value = recipe["template"] if field == "template" else step[field]
        if isinstance(value, dict):
            value = [f"{name} {share}" for name, share in value.items()]
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        assert f"| {field} | {shown} | {where} |" in text
    for note in recipe["notes"]:
        assert note in text
