"""What `kollama2` offers to Python: documented, typed, and imported no sooner than asked for."""

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kollama2
from kollama2.study.given import _fields
from kollama2.study.steps import STEPS

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("torch", "pydantic", "transformers", "numpy", "rich", "yaml")
USER = '''\
"""A file of someone who uses kollama2."""

from pathlib import Path
from typing import Any

import kollama2


def told(event: kollama2.Event) -> None:
    print(event.what, event.label, event.figures.get("done"))


def work(folder: Path) -> list[dict[str, Any]]:
    planned: kollama2.Plan = kollama2.plan("study.yaml", store=folder)
    flops: int | None = planned.cost.flops
    result = kollama2.run("study.yaml", progress=told)
    model = kollama2.adapt("builtin:miniature", "kullm-lora", None, folder / "out", lr=1e-4)
    scores = kollama2.evaluate(model, limit=8).scores
    found = kollama2.compare([model.path, "builtin:miniature"])
    kollama2.export(model, folder / "whole")
    print(flops, result.board.rows[0].recipe, scores["text-ko/bpb"], found.table(), result)
    return kollama2.report("study").rows()
'''


def names() -> Iterator[Any]:
    for name in kollama2.__all__:
        yield pytest.param(getattr(kollama2, name), id=name)


def functions() -> Iterator[Any]:
    """The public functions, and the public methods of the results."""
    for name in kollama2.__all__:
        found = getattr(kollama2, name)
        if inspect.isfunction(found):
            yield pytest.param(found, id=name)
        elif found.__module__.startswith("kollama2.api"):
            for method, value in inspect.getmembers(found, inspect.isfunction):
                if not method.startswith("_"):
                    yield pytest.param(value, id=f"{name}.{method}")


def test_every_name_is_there_and_no_other() -> None:
    assert set(kollama2.__all__) <= set(dir(kollama2))
    assert sorted(kollama2.__all__) == kollama2.__all__
    with pytest.raises(AttributeError, match="module 'kollama2' has no attribute 'rnu'"):
        kollama2.rnu  # noqa: B018


@pytest.mark.parametrize("found", list(names()))
def test_every_name_is_documented(found: Any) -> None:
    text = inspect.getdoc(found) or ""
    assert len(text) > 40
    if inspect.isfunction(found):
        assert all(f"\n{part}:\n" in text for part in ("Args", "Returns", "Raises"))


@pytest.mark.parametrize("function", list(functions()))
def test_every_argument_is_typed_and_explained(function: Callable[..., Any]) -> None:
    text = inspect.getdoc(function) or ""
    hints = inspect.get_annotations(function)
    assert text and "return" in hints
    for name, one in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        assert name in hints
        if not function.__qualname__.endswith(".rendered"):
            stars = "**" if one.kind is one.VAR_KEYWORD else ""
            assert f"{stars}{name}: " in text


@pytest.mark.parametrize("found", list(names()))
def test_the_hints_mean_something(found: Any) -> None:
    if inspect.isfunction(found):
        assert typing.get_type_hints(found)["return"] is not Any


def test_no_setting_of_a_recipe_is_an_option_of_adapt() -> None:
    options = set(inspect.signature(kollama2.adapt).parameters)
    assert options.isdisjoint({key for kind in STEPS for key in _fields(kind)})


def test_the_import_is_light() -> None:
    code = (
        "import sys, time\n"
        "start = time.perf_counter()\n"
        "import kollama2\n"
        "seconds = time.perf_counter() - start\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], seconds < 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


@pytest.mark.slow
def test_a_users_file_passes_a_strict_type_checker(tmp_path: Path) -> None:
    def checked(text: str) -> str:
        (tmp_path / "user.py").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "user.py")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    assert checked(USER) == "Success: no issues found in 1 source file\n"
    assert 'Module has no attribute "rnu"' in checked(USER.replace("kollama2.run", "kollama2.rnu"))
    wrong = checked(USER.replace('"study.yaml", store=folder', "3, store=folder"))
    assert 'Argument 1 to "plan" has incompatible type "int"' in wrong
