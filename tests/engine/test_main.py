import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kollama2.engine.failure import Failed
from kollama2.engine.graph import run
from kollama2.engine.launch import local
from kollama2.engine.profile import Profile, Resources
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.engine.worker import read_stage
from tests.engine.fakes import Corpus, Look, Trouble
from tests.jsons import change

ROOT = Path(__file__).parents[2]


def compute(
    file: Path, store: Store, resources: Resources | None = None
) -> "subprocess.CompletedProcess[str]":
    chosen = resources or Resources()
    return subprocess.run(
        [
            sys.executable, "-m", "kollama2.engine", str(file), "--store", str(store.root),
            "--module", "tests.engine.fakes", "--resources", chosen.model_dump_json(),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def write(stage: Stage, folder: Path) -> Path:
    file = folder / "recipe.json"
    file.write_text(json.dumps(stage.recipe()), encoding="utf-8")
    return file


def test_one_stage_from_a_file(tmp_path: Path) -> None:
    store, stage = Store(tmp_path / "runs"), Corpus(text="나무")
    result = compute(write(stage, tmp_path), store)
    assert result.returncode == 0
    assert json.loads(result.stdout) == store.record(stage).plain()  # type: ignore[union-attr]
    assert compute(store.path(stage) / "stage.json", store).stdout == result.stdout


@pytest.mark.parametrize(("how", "exit_code"), [("fault", 65), ("error", 70)])
def test_what_goes_wrong_is_one_sentence_and_a_code(
    tmp_path: Path, how: str, exit_code: int
) -> None:
    result = compute(write(Trouble(how=how), tmp_path), Store(tmp_path / "runs"))
    assert result.returncode == exit_code
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    said = result.stderr.strip().splitlines()
    assert len(said) == 3, said  # the stage's own two lines and one sentence


def test_a_missing_or_broken_file_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    assert compute(tmp_path / "none.json", store).returncode == 74
    (tmp_path / "half.json").write_text('{"kind":')
    assert compute(tmp_path / "half.json", store).returncode == 76


def test_several_processes_compute_one_stage(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    profile = Profile(default=Resources(gpus=2, device="cpu"))
    assert run([Look()], store, local(store, profile)).exit_code == 0
    record = store.record(Look())
    assert record is not None
    assert (record.metrics["rank"], record.metrics["ranks"]) == ("0", "2")
    assert (store.path(Look()) / "log.txt").read_text().count("looking") == 2
    assert store.verify() == {}


def test_a_recipe_that_is_nested_too_deeply_is_said() -> None:
    recipe = Corpus(text="나무").recipe()
    for _ in range(400):
        recipe = {"kind": "train", "model": recipe}
    with pytest.raises(Failed, match=r"cannot read the recipe of kind 'train': .*recursion"):
        read_stage(recipe, "tests.engine.fakes")


@pytest.mark.slow
def test_a_fault_comes_back_from_several_processes(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    bad, dead = Trouble(how="fault"), Trouble(how="SIGKILL")
    profile = Profile(default=Resources(gpus=2, device="cpu"))
    outcome = run([bad, dead], store, local(store, profile))
    assert outcome.failed[bad.name] == "row 7 is empty; remove it"
    assert "stopped in one of its 2 processes" in outcome.failed[dead.name]


@pytest.mark.slow
def test_several_processes_die_with_the_one_that_holds_the_lease(tmp_path: Path) -> None:
    store, stage = Store(tmp_path / "runs"), Trouble(how="hang")
    resources = Resources(gpus=2, device="cpu").model_dump_json()
    leader = subprocess.Popen(
        [
            sys.executable, "-m", "kollama2.engine", str(write(stage, tmp_path)), "--store",
            str(store.root), "--module", "tests.engine.fakes", "--resources", resources,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    log = store.partial(stage) / "log.txt"
    for _ in range(600):
        if log.exists() and log.read_text().count("in words") == 2:
            break
        time.sleep(0.1)
    ranks = psutil.Process(leader.pid).children(recursive=True)
    assert len(ranks) >= 3
    leader.kill()
    leader.wait()
    _, alive = psutil.wait_procs(ranks, timeout=20)
    assert alive == []


@pytest.mark.parametrize(
    ("writer", "code", "says"),
    [
        ("10.2.0", 69, "was written by kollama2 10.2.0 and cannot be read by this kollama2 0."),
        ("0.0.1", 70, "kind 'corpus': warmth: Extra inputs are not permitted; take one that this"),
    ],
)
def test_a_recipe_with_an_unknown_field_is_no_damage(
    tmp_path: Path, writer: str, code: int, says: str
) -> None:
    (tmp_path / "done.json").write_text(json.dumps({"kollama2": writer}))
    file = write(Corpus(text="나무"), tmp_path)
    change(file, warmth=1)
    result = compute(file, Store(tmp_path / "runs"))
    assert result.returncode == code
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
