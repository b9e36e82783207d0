"""evaluate and compare as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluation.harness_files import write
from tests.tiny import write_model

SUITE = """\
name: small
primary: text-ko/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, data: "builtin:miniature/suite/text-ko", limit: 8}
"""


def kollama2(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-m", "kollama2", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_model(folder / "one")
    write_model(folder / "two", seed=1)
    (folder / "small.yaml").write_text(SUITE, encoding="utf-8")
    (folder / "tasks").mkdir()
    write(folder / "tasks")
    return folder


@pytest.mark.slow
def test_compare_prints_tiers_and_never_mixes_up_models(place: Path) -> None:
    shown = kollama2("compare", "one", "two", "--suite", "small.yaml", folder=place)
    assert shown.returncode == 0, shown.stderr
    assert "item uncertainty only" in shown.stdout
    assert "suite " in shown.stdout and "MDE" in shown.stdout
    first = json.loads(
        kollama2("evaluate", "one", "--suite", "small.yaml", "--json", folder=place).stdout
    )
    # Other weights in the same folder: the cache must not answer.
    write_model(place / "one", seed=2)
    again = json.loads(
        kollama2("evaluate", "one", "--suite", "small.yaml", "--json", folder=place).stdout
    )
    assert first["text-ko/bpb"] != again["text-ko/bpb"]
    write_model(place / "one", seed=0)
    back = json.loads(
        kollama2("evaluate", "one", "--suite", "small.yaml", "--json", folder=place).stdout
    )
    assert back == first


@pytest.mark.slow
def test_own_task_files_run_unchanged(place: Path) -> None:
    found = kollama2(
        "evaluate", "two", "--include", "tasks", "--limit", "2", "--json", folder=place
    )
    assert found.returncode == 0, found.stderr
    scores = json.loads(found.stdout)
    assert {"own-choice/acc", "own-text/bpb", "own-answer/exact_match"} <= set(scores)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "one", "--suite", "quik"), "no suite 'quik'"),
        (("evaluate", "nowhere", "--suite", "small.yaml"), "nothing lies at"),
        (("compare", "one", "one"), "at least two different models"),
        (("evaluate", "one", "--suite", "small.yaml", "--task", "copa"), "not both"),
        (("evaluate", "one", "--suite", "small.yaml", "--only", "text"), "has no task 'text'"),
        (("evaluate", "one", "--include", "one"), "holds no lm-eval task file"),
        (
            ("evaluate", "one", "--suite", "ko-core"),
            "name a revision, or a local copy in a mirrors file",
        ),
    ],
)
def test_mistakes_are_one_clear_sentence(
    place: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kollama2.cli import app

    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["kollama2", *arguments])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code not in (0, 70)
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
