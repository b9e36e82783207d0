"""The command line in Korean, to the letter: help, mistakes, and what a run ends with."""

import gettext
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from rich.console import Console

from kollama2 import locale
from kollama2.api.compute import Event
from kollama2.api.study import report
from kollama2.cli import app, language
from kollama2.cli.display import Display
from kollama2.cli.study import show_result
from tests.reporting import fake


def kollama2(
    *arguments: str, folder: Path, columns: int = 80, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kollama2", *arguments],
        cwd=folder, capture_output=True, encoding="utf-8", timeout=250, check=False,
        env={**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8", **environment},
    )  # fmt: skip


@pytest.fixture
def in_korean() -> Iterator[None]:
    locale.choose("ko")
    yield
    locale.choose("en")
    gettext.textdomain("messages")


def width(line: str) -> int:
    """Columns of a terminal."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in line)


RUN = """\
사용법: python -m kollama2 run [OPTIONS] [study]

  스터디를 계산하거나, 이어서 하거나, 확장합니다.

  끝나면 순위표와 report.html이 나옵니다. 중단되어도 같은 명령이 이어서
  계산합니다.

인자:
  study <str>  스터디의 YAML 파일이나 이름(기본값: 내장 스터디).

옵션:
  --store <path>      모든 결과를 두는 폴더.  [환경 변수: KOLLAMA2_STORE;
                      기본값: runs]
  --mirrors <path>    hf: ID를 로컬 사본에 연결하는 YAML 파일.  [환경 변수:
                      KOLLAMA2_MIRRORS]
  --profile <path>    단계의 종류별로 쓸 자원을 적은 YAML 파일.
  --jobs <int range>  동시에 계산할 단계 수(기본값: 코어마다 하나).  [x>=1]
  --json              표 대신 JSON을 출력합니다.
  -h, --help          이 도움말을 보여 주고 끝냅니다.
"""


def test_help_by_the_environment_and_by_the_option(tmp_path: Path) -> None:
    first = kollama2("--help", folder=tmp_path, LANG="ko_KR.UTF-8")
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[:4] == [
        "사용법: python -m kollama2 [OPTIONS] COMMAND [ARGS]...",
        "",
        "  영어 중심 LLM에 한국어를 가르치는 가장 좋은 방법을 찾고, 증명하고, 모델을",
        "  넘겨줍니다.",
    ]
    assert "  run        스터디를 계산하거나, 이어서 하거나, 확장합니다." in lines
    assert max(map(width, lines)) <= 80
    assert kollama2("--lang", "ko", "run", "--help", folder=tmp_path).stdout == RUN
    assert kollama2("run", "--help", "--lang=ko", folder=tmp_path).stdout == RUN
    english = kollama2("run", "--lang", "en", "-h", folder=tmp_path, LANG="ko_KR.UTF-8")
    assert english.stdout.startswith("Usage: python -m kollama2 run [OPTIONS] [study]\n")
    assert "Options:" in english.stdout


def test_the_option_may_stand_anywhere_but_behind_two_dashes() -> None:
    assert language.first(["run", "--lang", "ko", "x"]) == ["--lang=ko", "run", "x"]
    assert language.first(["run", "--lang"]) == ["--lang=", "run"]
    assert language.first(["a", "--", "--lang", "ko"]) == ["a", "--", "--lang", "ko"]


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("rnu", 64, "'rnu' 명령이 없습니다. 'run' 명령을 찾으셨습니까?"),
        ("run --stor x", 64, "없는 옵션입니다: --stor (비슷한 옵션: --json, --store)"),
        ("evaluate", 64, "인자가 빠졌습니다: 'model'"),
        ("run --jobs 0", 64, "'--jobs' 값이 잘못되었습니다: 1 이상이어야 합니다"),
        (
            "run --lang fr",
            64,
            "'--lang' 값이 잘못되었습니다: 쓸 수 없는 값 'fr'. 쓸 수 있는 값: 'en', 'ko'",
        ),
        (
            "run none.yaml",
            64,
            "'none.yaml' 스터디가 없습니다. YAML 파일의 경로나 다음 중 하나를 지정하세요: quick",
        ),
        ("plan s.yaml", 64, "s.yaml:2: 알 수 없는 키 'sede'. 혹시 'seeds'입니까?"),
        (
            "plan t.yaml",
            64,
            "file:nowhere: nowhere에 아무것도 없습니다. 경로를 고치세요",
        ),
        ("export quick -o full", 64, "full: 비어 있지 않습니다. 새 폴더를 지정하세요"),
        (
            "plan --store s.yaml",
            74,
            "저장소가 폴더가 아니라 파일입니다: s.yaml. 폴더를 지정하세요",
        ),
    ],
)
def test_mistakes_are_one_korean_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    in_korean: None,
    typed: str,
    code: int,
    says: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    (tmp_path / "s.yaml").write_text("name: s\nsede: 1\n", encoding="utf-8")
    (tmp_path / "t.yaml").write_text(NOWHERE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kollama2", *typed.split()])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `main` sets its own
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    monkeypatch.setenv("LANGUAGE", "")
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert capsys.readouterr() == ("", f"kollama2: {says}\n")
    assert ended.value.code == code


NOWHERE = """\
name: t
base: {uri: "file:nowhere"}
sources: {a: {uri: builtin:miniature/alpaca-ko}}
axes: {m: {a: {kind: finetune, data: a, method: full}}}
suites: [quick]
"""


def test_a_report_ends_in_korean_and_its_files_and_json_stay(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    in_korean: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    store = fake.write(Path("runs"), study="try", seeds=(0, 1, 2))
    page, board = (store / "studies/try" / name for name in ("report.html", "leaderboard.json"))
    locale.choose("en")
    english = report("try", store=store)
    files = page.read_bytes(), board.read_bytes()
    page.unlink()
    board.unlink()
    locale.choose("ko")
    korean = report("try", store=store)
    assert (page.read_bytes(), board.read_bytes()) == files
    assert (korean.json, korean.rows()) == (english.json, english.rows())
    show_result(korean, store, as_json=False)
    shown = capsys.readouterr()
    assert shown.err == "보고서: runs/studies/try/report.html\n"
    lines = shown.out.splitlines()
    assert lines[2].split()[:8] == [
        "등급", "레시피", "점수", "절약", "%", "[95%]", "MDE", "P(best)",
    ]  # fmt: skip
    assert korean.board.headline["ko"][0] in " ".join(shown.out.replace("· ", "").split())
    assert len({width(line) for line in lines[:8]}) == 1  # the columns stand under one another


def test_progress_is_told_in_korean(in_korean: None) -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, width=100)) as display:
        for event in EVENTS:
            display(event)
    assert stream.getvalue().splitlines() == [
        "작업 프로세스를 시작합니다. 학습 라이브러리를 불러오는 데 몇 초 걸립니다",
        "it: 모델을 불러오는 중",
        "it: 2/4 스텝, 손실 1.500, 초당 1,000토큰, 0:10 남음",
        "[1/2] it: 완료, 12초",
        "[2/2] other: 실패: why",
        "last: other 실패로 시도하지 않음",
        "주의: 조심",
    ]


EVENTS = [
    Event("planned", figures={"total": 2}),
    Event("launching", "it-1", "it"),
    Event("started", "it-1", "it"),
    Event("progress", "it-1", "it", {"done": 0, "total": 0, "unit": "loading the model"}),
    Event("progress", "it-1", "it", {"done": 2, "total": 4, "unit": "steps", "seconds": 10.0,
                                     "loss": 1.5, "tokens_per_second": 1000.0}),
    Event("finished", "it-1", "it", {"seconds": 12.0}),
    Event("failed", "other-1", "other", {"message": "why"}),
    Event("blocked", "last-1", "last", {"by": "other"}),
    Event("warning", figures={"message": "조심"}),
]  # fmt: skip
