"""The commands as a user types them, on tiny models."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from kollama2.api.plan import kept_names
from kollama2.api.study import report
from kollama2.cli import app
from kollama2.cli.study import show_result
from kollama2.errors import Denied, Missing
from kollama2.reporting import html
from tests.commands import kollama2
from tests.reporting import fake

ROOT = Path(__file__).parent.parent.parent
STUDY = """\
name: try
base: {{uri: "file:{base}"}}
sources: {{a: {{uri: builtin:miniature/alpaca-ko, size: 60}}, test: {{uri: "file:test.txt"}}}}
axes:
  method:
    full: {{kind: finetune, data: a, method: full, lr: 3.0e-3, batch: 8, steps: 2}}
    cheat: {{kind: pretrain, data: test, method: full, lr: 3.0e-3, batch: 4, steps: 2}}
    lora: {{kind: finetune, data: a, method: lora, rank: 4, lr: 1.0e-2, batch: 8, steps: 2}}
controls: {{copy_of_base: true}}
suites: [small.yaml]
"""
SUITE = """\
name: small
primary: text-ko/bpb
english: text-en/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, data: "file:test.txt"}
  - {name: text-en, measure_kind: bits_per_byte, lang: en, limit: 8,
     data: "builtin:miniature/suite/text-en"}
"""
TEST = """\
미라는 시장에서 빨간 사과 세 개와 노란 배 두 개를 사서 할머니 댁에 가져갔습니다.
여우는 숲속 작은 굴에서 겨울잠을 자지 않고 눈 위의 발자국을 따라다녔습니다.
선생님은 조용한 정원에 앉아 아이들에게 오래된 바다 이야기를 들려주었습니다.
농부는 이른 아침마다 밭에 나가 배추에 물을 주고 잡초를 하나씩 뽑았습니다.
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "s.yaml").write_text(STUDY.format(base=tiny_model), encoding="utf-8")
    (folder / "small.yaml").write_text(SUITE, encoding="utf-8")
    (folder / "test.txt").write_text(TEST, encoding="utf-8")
    return folder


def test_the_command_line_starts_without_what_it_may_not_need() -> None:
    code = (
        "import sys, kollama2.cli.app\n"
        "assert not {'numpy', 'psutil', 'pydantic', 'rich', 'yaml'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_and_plan_never_import_torch() -> None:
    code = (
        "import sys, kollama2.cli.app, kollama2.study.lock, kollama2.stages\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_study_from_the_command_line_and_again(study: Path) -> None:
    first = subprocess.run(
        [sys.executable, "-m", "kollama2", "run", "s.yaml"],
        cwd=study, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    board = study / "runs/studies/try/leaderboard.json"
    before = board.read_bytes()
    assert (study / "runs/studies/try/report.html").stat().st_size > 100_000
    planned = json.loads(kollama2("plan", "s.yaml", "--json", folder=study).stdout)
    assert planned["to_compute"] == 0
    assert planned["saved_by_sharing"] > 0
    again = kollama2("run", "s.yaml", "--json", folder=study)
    assert again.returncode == 0
    assert board.read_bytes() == before
    rows = {row["recipe"]: row for row in json.loads(again.stdout)["rows"]}
    assert rows["base"]["base"]
    copy = rows["base-copy"]["standing"]["versus_base"]["difference"]
    # Four items tell the difference, but neither its interval nor a tier.
    assert (copy["value"], copy["low"], copy["high"]) == (0, None, None)
    assert rows["base-copy"]["standing"]["tier"] == rows["base"]["standing"]["tier"]
    seen = {name: row["trust"]["seen"] for name, row in rows.items()}
    assert seen["base"] is None
    assert seen["full"]["flagged"] == {"text-ko": 0, "text-en": 0}
    # What was trained on the test is flagged, and no clean item is left to judge it by.
    assert seen["cheat"]["flagged"] == {"text-ko": 4, "text-en": 0}
    assert seen["cheat"]["clean"] is None


def test_a_report_needs_nothing_but_the_store(tmp_path: Path) -> None:
    store = fake.write(tmp_path / "runs", study="try", seeds=(0,))
    done = kollama2("report", "try", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (store / "studies/try/leaderboard.json").read_text(encoding="utf-8")
    other = kollama2("report", "nope", folder=tmp_path)
    assert other.returncode == 64
    assert "no study 'nope': give the path of a YAML file or one of quick, try" in other.stderr
    same = kollama2("predict", "try", "try", folder=tmp_path)
    assert same.returncode == 64
    assert "try predicts itself, which tells nothing; name another study" in same.stderr


def test_a_changed_evaluation_is_said_by_all_who_read_it(tmp_path: Path) -> None:
    store = fake.write(tmp_path / "runs", seeds=(0,))
    folders = sorted(store.glob("evaluate-*"))
    items = folders[1] / "items.jsonl"
    items.write_bytes(items.read_bytes().replace(b"1", b"2", 1))
    for command in (
        ("report", "quick"),
        ("query", "SELECT count(*) FROM items"),
        ("compare", *map(str, folders[:2])),
    ):
        said = kollama2(*command, folder=tmp_path)
        assert (said.returncode, said.stdout) == (76, ""), said.stderr
        wanted = "items.jsonl differs from what was written: its SHA-256 has changed; remove the "
        assert wanted in " ".join(said.stderr.split())


def test_a_lost_lock_deletes_nothing(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    html.write_report(tmp_path, "quick", tmp_path / "studies" / "quick")
    assert kept_names(tmp_path, [])
    (tmp_path / "studies" / "quick.json").unlink()
    with pytest.raises(Missing, match=r"'quick' of the store .* has lost its lock"):
        kept_names(tmp_path, [])


def test_columns_are_named_as_the_message_says(tmp_path: Path) -> None:
    rows = '{"ask": "수도는?", "reply": "서울", "body": "글"}\n'
    (tmp_path / "a.jsonl").write_text(rows, encoding="utf-8")
    refused = kollama2("data", "check", "a.jsonl", folder=tmp_path)
    assert refused.returncode == 65
    named = re.search(r"--columns \S+", refused.stderr)
    assert named is not None
    done = kollama2("data", "check", "a.jsonl", "--json", *named[0].split(), folder=tmp_path)
    found = json.loads(done.stdout)
    assert (found["kinds"], found["kept"]) == ({"jsonl, alpaca": 1}, 1)
    assert found["unused"] == {"body": 1}


@pytest.fixture
def mounted(study: Path) -> Iterator[Path]:
    """A computed study whose store is mounted read-only, where the user may mount."""
    done = kollama2("run", "s.yaml", folder=study)
    assert done.returncode == 0, done.stderr
    store = str(study / "runs")
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting is forbidden here")
    if subprocess.run(["mount", "--bind", store, store], check=False).returncode:
        pytest.skip("mounting is forbidden here")
    subprocess.run(["mount", "-o", "remount,ro,bind", store], check=True)
    yield study
    subprocess.run(["umount", "-l", store], check=True)


def test_a_finished_study_is_read_from_a_store_that_cannot_be_written(mounted: Path) -> None:
    board = (mounted / "runs/studies/try/leaderboard.json").read_text(encoding="utf-8")
    for command in ("run", "report"):
        done = kollama2(command, "s.yaml", "--json", folder=mounted)
        assert (done.returncode, done.stdout) == (0, board)
        assert "Read-only" not in done.stderr
    for command in ("plan", "status"):
        done = kollama2(command, "s.yaml", folder=mounted)
        assert done.returncode == 0
        assert "Read-only" not in done.stderr
    rows = json.loads(
        kollama2("query", "SELECT count(*) AS n FROM scores", "--json", folder=mounted).stdout
    )
    assert rows[0]["n"] > 0
    other = kollama2("run", folder=mounted)  # another study would be new there
    assert other.returncode == 74
    assert "Read-only file system; the disk is read-only" in other.stderr
    assert "Traceback" not in other.stderr


def test_without_a_place_for_the_report_the_leaderboard_is_printed(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kollama2("run", "s.yaml", folder=study).returncode == 0
    board = (study / "runs/studies/try/leaderboard.json").read_text(encoding="utf-8")

    def refuse(*arguments: object) -> Path:
        raise Denied("report.html may not be written or read; check its permissions")

    monkeypatch.setattr(html, "write_report", refuse)
    monkeypatch.chdir(study)
    show_result(report("try", store=study / "runs"), study / "runs", as_json=True)
    said = capsys.readouterr()
    assert said.out == board
    assert said.err.startswith("no report was written: report.html may not be written")


LONG = "n" * 300


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("plan", "--store", "file"), 74, "the store file is a file; name a folder as the store"),
        (("query", "SELECT 1", "--store", "file/deeper"), 74, "Not a directory; a part of this"),
        (("status", "--store", LONG), 74, "File name too long; choose a shorter one"),
        (("plan", LONG), 74, "File name too long; choose a shorter one"),
        (("evaluate", f"file:{LONG}"), 74, "File name too long; choose a shorter one"),
        (("run", "s.yaml"), 64, "s.yaml:1: name: string should have at most 100 characters"),
    ],
)
def test_a_path_that_cannot_be_is_one_sentence(
    tmp_path: Path, tiny_model: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "file").write_text("")
    study = STUDY.format(base=tiny_model).replace("name: try", f"name: {LONG}")
    (tmp_path / "s.yaml").write_text(study, encoding="utf-8")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test.txt").write_text(TEST, encoding="utf-8")
    done = kollama2(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_may_not_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "s.yaml")

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `main` sets its own
    (tmp_path / "s.yaml").write_text("")
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(sys, "argv", ["kollama2", "plan", str(tmp_path / "s.yaml")])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 77
    assert capsys.readouterr().err == (
        "kollama2: s.yaml may not be written or read; check its permissions\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "nothing.yaml"), 64, "no study 'nothing.yaml'"),
        (("frobnicate",), 64, "frobnicate"),
        (("recipes", "kullm-lroa"), 64, "did you mean 'kullm-lora'?"),
        (("data", "check", "missing.json"), 65, "missing.json"),
        (("data", "check", "a.json", "--columns", "output"), 64, "instruction=ask,output=reply"),
        (("adapt", "nowhere", "--recipe", "kullm-lora", "-o", "out"), 64, "nothing lies at"),
        (
            ("adapt", "nowhere", "--recipe", "kullm-lora", "-o", "out", "--set", "seed=1"),
            64,
            "--set seed: that is no setting of a recipe but an option",
        ),
    ],
)
def test_wrong_usage_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = kollama2(*arguments, folder=tmp_path)
    assert says in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_ten_kills_change_no_byte(study: Path) -> None:
    program = [sys.executable, str(ROOT / "bench" / "kill.py"), "s.yaml", "--longest", "6"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        program, cwd=study, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 weights and 1 leaderboard compared\nall equal to the byte" in done.stdout
