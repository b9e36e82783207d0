"""Models behind an API in a study: cells that answer, resume and stand in the report."""

from pathlib import Path
from typing import Any

import pytest

from kollama2.engine import graph
from kollama2.engine.document import Document
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.stages import Ask
from kollama2.study.lock import Locked, lock
from tests.evaluation.server import said, serving

STUDY = """\
name: api
base: {{uri: builtin:miniature}}
endpoints: {{remote: {{url: "{url}", model: big, key: SOME_KEY}}}}
suites: [small.yaml]
"""
TEXT = '{name: text-ko, measure_kind: bits_per_byte, data: "builtin:miniature/suite/text-ko"}'
ANSWERS = (
    "{name: answers, measure_kind: generation, limit: 5, max_new_tokens: 7, "
    'data: "builtin:miniature/suite/answers-ko"}'
)


def locked(folder: Path, url: str, *tasks: str) -> Locked:
    suite = "name: small\nprimary: text-ko/bpb\ntasks:\n" + "".join(f"  - {t}\n" for t in tasks)
    (folder / "small.yaml").write_text(suite)
    (folder / "study.yaml").write_text(STUDY.format(url=url))
    return lock(Document(folder / "study.yaml"), folder / "runs")


def test_it_answers_fails_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    failing = True

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, "broken") if failing and len(server.bodies) > 3 else said("네, 그렇습니다.")

    with serving(answer) as server:
        study = locked(tmp_path, server.url, TEXT, ANSWERS)
        (stage,) = [cell.stage for cell in study.cells if isinstance(cell.stage, Ask)]
        store = Store(tmp_path / "runs")
        failed = graph.run([stage], store, graph.inline(store))
        assert failed.exit_code == BadUsage.exit_code
        assert "(3 of 5 items are answered)" in failed.failed[stage.name]
        failing = False
        assert graph.run([stage], store, graph.inline(store)).exit_code == 0
    asked = [body["messages"][0]["content"] for body in server.bodies]
    assert len(asked) == 6  # the fourth was refused once
    assert len(set(asked)) == 5
    assert server.headers[0]["authorization"] == "Bearer secret"
    assert {body["max_tokens"] for body in server.bodies} == {7}
    metrics = store.record(stage).metrics  # type: ignore[union-attr]
    # One answer to every question is none.
    assert metrics["scores"]["answers/fidelity"] == 0.0
    counts = metrics["counts"]["answers"]
    assert (counts["failed"], counts["faults"]) == (0, {"stock": counts["items"]})
    # The key stands in no file of the store.
    folder = store.path(stage)
    assert not any("secret" in file.read_text() for file in folder.iterdir() if file.is_file())


def test_it_is_a_cell_without_a_path(tmp_path: Path) -> None:
    study = locked(tmp_path, "http://127.0.0.1:9/v1", TEXT, ANSWERS)
    cells = {cell.recipe: cell for cell in study.record().cells}
    assert cells["remote"].path == ()
    assert cells["remote"].model == cells["remote"].evaluate
    assert cells["remote"].contamination is None
    assert study.record().model_dump_json().count("SOME_KEY") == 1  # in the study's own text alone


def test_the_variable_of_the_key_changes_no_result(tmp_path: Path) -> None:
    one = locked(tmp_path, "http://127.0.0.1:9/v1", TEXT, ANSWERS).cells[-1].stage
    text = (tmp_path / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(text.replace("SOME_KEY", "OTHER_KEY"))
    other = lock(Document(tmp_path / "study.yaml"), tmp_path / "runs").cells[-1].stage
    assert one.name == other.name


def test_likelihoods_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        BadUsage, match="no suite of this study has a task that is answered in chat"
    ):
        locked(tmp_path, "http://127.0.0.1:9/v1", TEXT)
