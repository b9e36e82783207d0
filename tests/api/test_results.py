"""Results from Python: the same figures as the report, as text, rows, frames and pages."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

import kollama2
from kollama2.cli.study import report as report_command
from kollama2.errors import BadData, BadUsage, Missing
from tests.cli.test_commands import STUDY, SUITE, TEST
from tests.reporting import fake


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake.write(tmp_path_factory.mktemp("results") / "runs")


@pytest.fixture(scope="module")
def result(store: Path) -> kollama2.Result:
    return kollama2.report("quick", store=store)


def test_a_result_is_what_the_report_holds(
    result: kollama2.Result, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert result.report == store / "studies/quick/report.html"
    assert result.json == result.report.with_name("leaderboard.json").read_text(encoding="utf-8")
    board = json.loads(result.json)
    rows = result.rows()
    assert [one["recipe"] for one in rows] == [one["recipe"] for one in board["rows"]]
    assert len({tuple(one) for one in rows}) == 1
    for row, told in zip(rows, board["rows"], strict=True):
        assert row["score"] == told["score"]
        assert row["tier"] == told["standing"]["tier"]
        assert row["text-ko/bpb"] == told["measures"]["text-ko/bpb"]["score"]
        versus = told["standing"]["versus_base"]
        if versus is None:
            assert row["gain"] is None
        else:
            assert [row[f"gain{end}"] for end in ("", "_low", "_high")] == [
                versus["gain"][part] for part in ("value", "low", "high")
            ]
    report_command("quick", store=store)
    assert result.table() == capsys.readouterr().out


def test_rows_become_frames(result: kollama2.Result) -> None:
    rows = result.rows()
    assert isinstance(result.to_arrow(), pyarrow.Table)
    assert result.to_arrow().column("recipe").to_pylist() == [one["recipe"] for one in rows]
    frame = result.to_pandas()
    assert list(frame.columns) == list(rows[0])
    assert frame["score"].tolist() == [one["score"] for one in rows]


def test_without_pandas_it_is_said_how_to_get_it(
    result: kollama2.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Missing, match=r"pip install 'kollama2\[pandas\]'"):
        result.to_pandas()


def test_a_notebook_gets_an_escaped_page_of_its_own(tmp_path: Path) -> None:
    store = fake.write(tmp_path, study="<script>x\x1b")
    page = kollama2.report("<script>x\x1b", store=store)._repr_html_()
    assert "<script" not in page and "\x1b" not in page
    assert "&lt;script&gt;x␛" in page and "alpaca-full" in page
    assert "http" not in page and "src=" not in page


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "s.yaml").write_text(STUDY.format(base=tiny_model), encoding="utf-8")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test.txt").write_text(TEST, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_is_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOLLAMA2_STORE", "elsewhere")
    plan = kollama2.plan("s.yaml")
    assert (plan.study, plan.cells) == ("try", 5)
    assert plan.to_compute == len(plan.stages) == len(plan.rows())
    assert plan.cost.trainings == 3
    assert plan.table().endswith(" on this machine\n")
    assert "full" in plan.table(100)
    assert (folder / "elsewhere").is_dir()  # content hashes are kept there
    assert {"stage", "says", "recipes", "cached"} == set(plan.to_pandas().columns)


def test_states_and_answers_are_listings(folder: Path) -> None:
    found = kollama2.status("s.yaml")
    assert found.columns == ("recipe", "seed", "suite", "state")
    assert {row["state"].partition(":")[0] for row in found.rows()} == {"waiting"}
    store = fake.write(folder / "other", seeds=(0,))
    best = "SELECT recipe, NULL AS no FROM scores WHERE measure = 'text-ko/bpb' ORDER BY score"
    answer = kollama2.query(f"{best} LIMIT 1", store=store)
    assert answer.rows() == [{"recipe": "alpaca-full", "no": None}]
    assert "│ alpaca-full │    │" in answer.table()
    literal = kollama2.query("SELECT '[/x] [red]:smile: <b>' AS \"[/a]\"", store=store)
    assert "[/x] [red]:smile: <b>" in literal.table() and "[/a]" in literal.table()
    assert "[/x] [red]:smile: &lt;b&gt;" in literal._repr_html_()


def test_what_cannot_be_is_raised(folder: Path) -> None:
    with pytest.raises(BadUsage, match="no study 'nope'"):
        kollama2.run("nope")
    with pytest.raises(BadUsage, match="at least two different models"):
        kollama2.compare(["a", "a"])
    with pytest.raises(BadUsage, match="is not empty; name a new folder"):
        kollama2.adapt("builtin:miniature", "kullm-lora", None, folder)
    with pytest.raises(BadUsage, match="no setting is called 'rate'"):
        kollama2.adapt("builtin:miniature", "kullm-lora", None, folder / "new", rate=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kollama2.plan("s.yaml", profile=5), "profile is 5: input should be a valid str"),
        (lambda: kollama2.run("s.yaml", jobs=0), "jobs is 0: input should be greater than or eq"),
        (lambda: kollama2.run("s.yaml", progress=1), "progress is 1: input should be callable"),
        (lambda: kollama2.query(7), "sql is 7: input should be a valid string"),
        (lambda: kollama2.evaluate("m", limit=-1), "limit is -1: input should be greater than or"),
        (lambda: kollama2.evaluate("m", limit="2"), "limit is '2': input should be a valid integ"),
        (lambda: kollama2.evaluate("m", only="a"), "only is the text 'a'; give a list, only=['a']"),
        (lambda: kollama2.evaluate(""), "a name of a model or of data is empty"),
        (lambda: kollama2.compare("a"), "models is the text 'a'; give a list, models=['a']"),
        (lambda: kollama2.export("m", "o", shards=0), "shards is 0: input should be greater tha"),
        (lambda: kollama2.export("m", "o", licences="mit"), "licences is 'mit': input should be"),
        (
            lambda: kollama2.adapt("builtin:miniature", "kullm-lora", None, "o", lr=...),
            "Ellipsis can be no setting; give a number, a text or a list",
        ),
        (lambda: kollama2.adapt("a", "b", None, "o", seed=-1), "seed is -1: input should be great"),
    ],
)
def test_arguments_are_checked(folder: Path, call: Callable[[], object], said: str) -> None:
    with pytest.raises(BadUsage) as caught:
        call()
    assert str(caught.value).startswith(said)
    assert "--" not in str(caught.value)


def test_what_a_function_does_not_take_is_told_by_python() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'studdy'"):
        kollama2.run(studdy="s.yaml")


SCRIPT = """\
import kollama2

events = []
result = kollama2.run("s.yaml", progress=events.append)
print(events[0].figures["total"], {one.what for one in events} >= {"started", "finished", "ended"})
print(result.table(), end="")
heard = []
assert kollama2.run("s.yaml", progress=heard.append) == result
assert {one.what for one in heard} <= {"warning"}  # nothing is left to compute
"""


@pytest.mark.slow
def test_a_script_without_a_guard_computes_a_study(folder: Path) -> None:
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    first, _, table = done.stdout.partition("\n")
    assert first == f"{len(kollama2.plan('s.yaml').stages)} True"
    assert table == kollama2.report("s.yaml").table()
    assert not math.isnan(kollama2.report("s.yaml").rows()[0]["score"])


@pytest.mark.slow
def test_failures_are_raised_or_told(folder: Path) -> None:
    text = (folder / "s.yaml").read_text(encoding="utf-8")
    (folder / "s.yaml").write_text(text.replace("rank: 4", "rank: 4, max_length: 8"))
    result = kollama2.run("s.yaml", check=False)
    (failed,) = result.failed
    assert (failed.partition("-")[0], result.exit_code) == ("encode", BadData.exit_code)
    assert {row["recipe"]: row["missing"] for row in result.rows()}["lora"] == 1
    assert result.report is not None
    result.report.unlink()
    with pytest.raises(BadData) as caught:
        kollama2.run("s.yaml")
    assert result.report.is_file()
    assert str(caught.value) == result.failed[failed]
