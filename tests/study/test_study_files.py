"""Every study of the repository is read and planned; files it wants are made up on the spot."""

import re
import shutil
from pathlib import Path

import pytest

from kollama2.engine.document import Document
from kollama2.engine.graph import plan
from kollama2.engine.store import Store
from kollama2.study.lock import QUICK, lock

STUDIES = Path(__file__).parent.parent.parent / "studies"
WANTED = re.compile(r"\$\{KOLLAMA2_DATA\}/([\w./-]+)")
MIRRORS = re.compile(r"kollama2 run .* --mirrors studies/(\S+)")
FILES = sorted(f for f in STUDIES.glob("*.yaml") if f.name.count(".") == 1)


@pytest.fixture
def studies(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the studies beside bases, with a file for every path under KOLLAMA2_DATA."""
    shutil.copytree(STUDIES, tmp_path / "studies")
    shutil.copytree(tiny_model, tmp_path / "bases" / "english")
    shutil.copytree(tiny_model, tmp_path / "models" / "smollm2-135m-instruct.gguf")
    monkeypatch.setenv("KOLLAMA2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("KOLLAMA2_DATA", str(tmp_path / "data"))
    for file in (tmp_path / "studies").glob("*.yaml"):
        for name in WANTED.findall(file.read_text(encoding="utf-8")):
            place = tmp_path / "data" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("한 줄\n", encoding="utf-8")
    return tmp_path / "studies"


def mirrors(study: Path) -> Path | None:
    """The mirrors file that the head of a study names in its command."""
    named = MIRRORS.search(study.read_text(encoding="utf-8"))
    return study.with_name(named[1]) if named else None


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_a_study_can_be_planned(name: str, studies: Path, tmp_path: Path) -> None:
    study = studies / name
    locked = lock(Document(study), tmp_path / "runs", mirrors(study))
    planned = plan(locked.targets, Store(tmp_path / "runs"))
    assert locked.study.name == Path(name).stem
    assert len(locked.cells) > 3
    assert planned.cached == frozenset()
    # Cells share what they have in common: at least the sources and the encoded rows.
    assert planned.saved > len(locked.cells)


def test_the_embedded_study_compares_methods_on_two_forms_of_data(tmp_path: Path) -> None:
    locked = lock(Document(QUICK), tmp_path / "runs")
    recipes = [cell.recipe for cell in locked.cells]
    assert recipes == ["base", *(f"{d}-{m}" for d in ("alpaca", "vicuna")
                                 for m in ("full", "lora", "qlora"))]  # fmt: skip


def test_a_mirror_is_there_for_every_hub_source_of_a_study() -> None:
    for file in FILES:
        uris = set(re.findall(r"hf:[\w.-]+/[\w.-]+", file.read_text(encoding="utf-8")))
        if uris:
            named = mirrors(file)
            assert named is not None, f"the head of {file.name} names no mirrors"
            known = named.read_text(encoding="utf-8")
            assert [uri for uri in sorted(uris) if f"{uri}:" not in known] == []
