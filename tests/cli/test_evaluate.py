"""evaluate and compare as a user types them."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import BadUsage
from tests import commands
from tests.chat_folders import write_adapter, write_folder
from tests.evaluation.harness_files import write
from tests.evaluation.server import said, serving
from tests.tiny import write_model

SUITE = """\
name: small
primary: text-ko/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, data: "builtin:miniature/suite/text-ko", limit: 8}
"""
ASKED = """\
name: asked
primary: text-ko/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, data: "builtin:miniature/suite/text-ko", limit: 8}
  - {name: answers, measure_kind: generation, data: "builtin:miniature/suite/answers-ko", limit: 3}
  - {name: pairs, measure_kind: translation, data: "builtin:miniature/suite/translate", limit: 1}
"""


kollama2 = partial(commands.kollama2, columns=160)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_model(folder / "one")
    write_model(folder / "two", seed=1)
    (folder / "small.yaml").write_text(SUITE, encoding="utf-8")
    bare = SUITE.replace("builtin:miniature/suite/text-ko", "rows.jsonl")
    (folder / "bare.yaml").write_text(bare, encoding="utf-8")
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
        (("evaluate", "one", "--suite", "bare.yaml"), "'rows.jsonl', which is no uri; write file:"),
        (("evaluate", "http://127.0.0.1:9/v1"), "does not say which model; write http"),
        (("compare", "one", "http://127.0.0.1:9/v1#x", "--suite", "small.yaml"), "no likelihoods"),
        (
            ("evaluate", "http://127.0.0.1:9/v1#x", "--key", "NO_KEY"),
            "NO_KEY, which should hold",
        ),
        (("evaluate", "one", "--onto", "two"), "--onto is for adapters, and one is none"),
        (("evaluate", "one", "--template", "chatlm"), "did you mean chatml?"),
    ],
)
def test_mistakes_are_one_clear_sentence(
    place: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    assert typed(monkeypatch, *arguments) not in (0, 70)
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.slow
def test_an_adapter_made_elsewhere_scores_as_its_merge_on_any_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_folder(tmp_path / "base")
    write_adapter(base, tmp_path / "adapter", named="owner/base")
    (tmp_path / "mirrors.yaml").write_text("hf:owner/base: base\n", encoding="utf-8")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "convert", "adapter", "-o", "merged", "--onto", "base") == 0
    mirrored = typed(monkeypatch, "convert", "adapter", "-o", "same", "--mirrors", "mirrors.yaml")
    assert mirrored == 0
    assert (tmp_path / "same" / "model.safetensors").read_bytes() == (
        tmp_path / "merged" / "model.safetensors"
    ).read_bytes()
    found = []
    for arguments in (
        ("merged",),
        ("adapter", "--onto", "base"),
        ("adapter", "--mirrors", "mirrors.yaml"),
        ("base",),
    ):
        capsys.readouterr()
        options = ("--suite", "small.yaml", "--json")
        assert typed(monkeypatch, "evaluate", *arguments, *options) == 0
        found.append(json.loads(capsys.readouterr().out)["text-ko/bpb"])
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert found[1] == found[2] != pytest.approx(found[3], abs=1e-3)


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command in this process."""
    from kollama2.cli import app

    monkeypatch.setattr(sys, "argv", ["kollama2", *arguments])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    return int(stopped.value.code or 0)


def test_models_behind_an_endpoint_are_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "asked.yaml").write_text(ASKED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", "secret")
    failing = True

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if failing and len(server.bodies) > 4:
            return 400, "broken"
        # The same answer to every question would be none.
        good = ("네, 그렇습니다.", "까만색입니다.", "북쪽에 있어요.")[len(server.bodies) % 3]
        return said(good if body["model"] == "good" else "Yes, it is.")

    with serving(answer) as server:
        options = ("--suite", "asked.yaml", "--key", "MY_KEY", "--json")
        good, poor = f"{server.url}#good", f"{server.url}#poor"
        assert typed(monkeypatch, "evaluate", good, *options) == BadUsage.exit_code
        assert "(4 of 5 items are answered)" in capsys.readouterr().err
        failing = False
        assert typed(monkeypatch, "evaluate", good, *options) == 0
        scores = json.loads(capsys.readouterr().out)
        assert scores["answers/fidelity"] == 1.0
        assert 0 < scores["pairs/chrf_ko_en"] < 10
        assert len(server.bodies) == 6  # the fifth was refused once
        assert typed(monkeypatch, "compare", good, poor, *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["base"] == good
    assert {"answers/fidelity", "pairs/chrf_en_ko"} <= set(found["comparisons"])
    scored = {
        one["name"]: one["score"] for one in found["comparisons"]["answers/fidelity"]["standings"]
    }
    assert scored == {good: 1.0, poor: 0.0}
    asked = [(body["model"], body["messages"][0]["content"]) for body in server.bodies]
    assert (len(asked), len(set(asked))) == (11, 10)
    assert {headers["authorization"] for headers in server.headers} == {"Bearer secret"}


def test_a_damaged_evaluation_is_healed_and_said(place: Path) -> None:
    arguments = ("evaluate", "one", "--suite", "small.yaml", "--store", "healed", "--json")
    first = kollama2(*arguments, folder=place)
    assert first.returncode == 0, first.stderr
    (items,) = (place / "healed").glob("evaluate-*/items.jsonl")
    content = bytearray(items.read_bytes())
    content[len(content) // 2] ^= 1
    items.write_bytes(content)
    again = kollama2(*arguments, folder=place)
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "its SHA-256 has changed" in again.stderr
    assert again.stderr.count("is computed again") == 1
