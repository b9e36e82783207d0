"""What can be checked on the named recipes and their pages without running any of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kollama2 import recipes
from kollama2.miniature.corpora import NAMES
from kollama2.train.settings import TrainSettings

FOLDER = Path(recipes.__file__).parent
PAGES = Path(__file__).parent.parent / "docs" / "recipes"
FILES = sorted(FOLDER.glob("*.yaml"))

KEYS = {"name", "family", "title", "about", "base", "template", "sources", "steps"}
KEYS |= {"numbers", "notes", "miniature"}
STEP_KEYS = {"kind", "data", "template", "loss", *TrainSettings.model_fields}
TEMPLATES = {"llama2", "kullm", "koalpaca", "vicuna", "plain"}
FIRST = {"kullm-lora", "kullm-qlora", "koalpaca-full", "koalpaca-lora", "vicuna-ko", "korani"}

pytestmark = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def settings(step: dict[str, Any]) -> dict[str, Any]:
    """The fields of a step that training reads, as the study gives them."""
    kept = {k: v for k, v in step.items() if k in TrainSettings.model_fields and v is not None}
    if isinstance(kept.get("bytes"), str):
        number, unit = re.fullmatch(r"(\d+)([KMG]B)", kept["bytes"]).groups()  # type: ignore[union-attr]
        kept["bytes"] = int(number) * {"KB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    return kept


def test_the_six_first_recipes_are_there(file: Path) -> None:
    assert {f.stem for f in FILES} >= FIRST


def test_keys_are_known_and_the_file_bears_its_name(file: Path) -> None:
    recipe = read(file)
    assert recipe["name"] == file.stem
    assert set(recipe) == KEYS
    assert recipe["family"] in {"sft", "cpt", "vocabulary", "merge", "preference"}
    assert recipe["template"] in TEMPLATES
    assert "\n" not in recipe["title"]
    assert 2 <= len(re.findall(r"[.:)](?: |$)", recipe["about"])) <= 12
    assert set(recipe["miniature"]) <= {"base", "sources", "steps"}


def test_every_step_trains_with_known_settings_at_both_sizes(file: Path) -> None:
    recipe = read(file)
    twins = recipe["miniature"]["steps"]
    assert len(twins) == len(recipe["steps"])
    for step, twin in zip(recipe["steps"], twins, strict=True):
        assert set(step) | set(twin) <= STEP_KEYS
        TrainSettings.model_validate(settings(step))
        small = TrainSettings.model_validate(settings({**step, **twin}))
        assert small.method == step["method"]
        assert small.bytes is not None
        assert small.bytes <= 200_000


def test_sources_are_those_that_the_steps_name(file: Path) -> None:
    recipe = read(file)
    used: set[str] = set()
    for step in recipe["steps"]:
        used |= {step["data"]} if isinstance(step["data"], str) else set(step["data"])
    assert used == set(recipe["sources"]) == set(recipe["miniature"]["sources"])
    for spec in (recipe["base"], *recipe["sources"].values()):
        assert re.fullmatch(r"hf:[\w.-]+/[\w.-]+", spec["uri"])
    small = recipe["miniature"]
    assert small["base"] == {"uri": "builtin:miniature"}
    for name, spec in small["sources"].items():
        corpus = spec["uri"].removeprefix("builtin:miniature/")
        chats = {"sharegpt", "alpaca"} if name == "sharegpt" else {recipe["sources"][name]["form"]}
        assert NAMES[corpus] in chats


def test_every_number_has_its_source_and_no_source_is_left_over(file: Path) -> None:
    recipe = read(file)
    fields = {field for step in recipe["steps"] for field in step} - {"kind"}
    assert fields | {"template"} == set(recipe["numbers"])
    assert all(isinstance(v, str) and len(v) > 20 for v in recipe["numbers"].values())
    numeric = [v for step in recipe["steps"] for v in step.values()]
    assert not [v for v in numeric if isinstance(v, str) and re.fullmatch(r"[\d.]+e-?\d+", v)]


def test_the_page_tells_the_same_numbers(file: Path) -> None:
    recipe = read(file)
    page = (PAGES / f"{file.stem}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {file.stem}\n\n{recipe['title']}\n")
    for heading in ("What it is", "Evidence", "When to use it", "Cost at 7B", "Numbers"):
        assert f"\n## {heading}\n" in page
    (step,) = recipe["steps"]
    for field, where in recipe["numbers"].items():
        value = recipe["template"] if field == "template" else step[field]
        if isinstance(value, dict):
            value = [f"{name} {share}" for name, share in value.items()]
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        assert f"| {field} | {shown} | {where} |" in page
    for note in recipe["notes"]:
        assert note in page
