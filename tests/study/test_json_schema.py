"""The schemas for editors: current, and true of every file of the repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from scripts.write_settings_page import settings_page

from kollama2.evaluation import suite
from kollama2.study import recipes
from kollama2.study.json_schema import FILES, json_schema
from kollama2.study.lock import QUICK
from kollama2.study.steps import STEPS

ROOT = Path(__file__).parent.parent.parent
SUITES = [*Path(suite.__file__).parent.glob("suites/*.yaml"), *ROOT.glob("studies/*.suite.yaml")]
STUDIES = [QUICK, *(f for f in ROOT.glob("studies/*.yaml") if f.name.count(".") == 1)]
SHIPPED = [
    *(("study", file) for file in STUDIES),
    *(("suite", file) for file in SUITES),
    *(("recipe", file) for file in recipes.FOLDER.glob("*.yaml")),
]


FINETUNE = {"kind": "finetune", "data": "ko", "lr": 1e-3}


def faults(kind: str, tree: Any) -> list[str]:
    return [fault.message for fault in Draft202012Validator(json_schema(kind)).iter_errors(tree)]


@pytest.mark.parametrize("kind", FILES)
def test_the_schema_in_the_documents_is_current(kind: str) -> None:
    # Written by: python scripts/write_settings_page.py
    written = json.loads((ROOT / "docs" / "schema" / f"{kind}.json").read_text(encoding="utf-8"))
    assert written == json_schema(kind)
    Draft202012Validator.check_schema(written)


def test_the_settings_page_is_current_and_says_what_every_key_is() -> None:
    page = settings_page()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page
    for kind, step in STEPS.items():
        assert f"`{kind}`" in page
        for name, field in step.model_fields.items():
            assert name == "kind" or (field.description or "").endswith((".", ")"))


@pytest.mark.parametrize(("kind", "file"), SHIPPED, ids=lambda one: getattr(one, "name", one))
def test_a_shipped_file_fits_the_schema_that_it_names(kind: str, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    first, _, place = text.partition("\n")[0].partition("$schema=")
    assert first == "# yaml-language-server: "
    assert (file.parent / place).resolve() == ROOT / "docs" / "schema" / f"{kind}.json"
    assert faults(kind, yaml.safe_load(text)) == []


def test_the_page_says_the_bounds_of_what_is_listed() -> None:
    lines = settings_page().splitlines()
    assert [line.split("|")[4] for line in lines if line.startswith("| `seeds` ")] == [
        " ≥ 0, < 4,294,967,296 "
    ]
    assert [
        line.split("|")[2] for line in lines if line.startswith(("| `axes` ", "| `with` "))
    ] == [
        " axis → option → step, keys, or `none` ",
        " source name, steps, or a list of either ",
    ]


def test_what_a_study_cannot_say_does_not_fit() -> None:
    study = {"name": "x", "base": {"uri": "builtin:miniature"}, "suites": ["quick"]}

    def option(**keys: Any) -> bool:
        return not faults("study", {**study, "axes": {"method": {"one": keys}}})

    assert option(kind="finetune", data={"ko": 0.5}, lr={"probe": [1e-3, 1e-4]}, bytes="50MB")
    assert option(init="mean")
    assert option(kind="prune_vocab")  # an option before it may give the other keys
    assert option(kind="finetune", rank=None, lr=None)
    inside = {"kind": "prune_vocab", "keep": ["ko"]}
    assert option(kind="merge", method="linear", **{"with": [inside]})
    assert option(kind="merge", method="linear", **{"with": [{**FINETUNE, "loss": None}]})
    assert not option(kind="merge", method="linear", **{"with": [{"kind": "prune_vocab"}]})
    assert not option(kind="merge", method="linear", **{"with": [{**FINETUNE, "lr": None}]})
    assert not option(kind=None)
    assert not option(kind="finetune", betas=[0.9, 1])
    assert not option(kind="finetune", rnak=8)
    assert not option(kind="prune_vocab", rank=8)
    assert not option(innit="mean")
    assert not option(kind="finetune", bytes="many MB")
    assert not option(kind="finetune", dropout=1)
    assert faults("study", {**study, "seed": 1}) != []
