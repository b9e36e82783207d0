"""The check of a recipe's training data: items and few-shot examples apart."""

import json
from pathlib import Path

import pytest

from kollama2.engine import graph
from kollama2.engine.store import Store
from kollama2.stages import Contamination
from kollama2.study.cells import suite_sources
from kollama2.study.evaluation import Wanted, wanted_suite
from kollama2.study.locate import Locator
from kollama2.study.schema import SourceSpec
from tests.evaluation.harness_files import write


@pytest.mark.parametrize(("fewshot", "pool"), [("fixed", 2), ("default", 6)])
def test_few_shot_examples_are_looked_up_too(tmp_path: Path, fewshot: str, pool: int) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    write(tasks)
    rows = [json.loads(line) for line in (tasks / "train.jsonl").read_text().splitlines()]
    seen = [" ".join([row["id"], row["place"], row["text"]]) for row in rows[1:3]]
    (tmp_path / "corpus.txt").write_text("\n\n".join(["아무 관계도 없는 글이다.", *seen]))
    suite = wanted_suite(Wanted(tasks=("own_label",), include=tasks, num_fewshot=2), tmp_path)
    (task,) = suite.tasks
    suite = suite.model_copy(update={"tasks": (task.model_copy(update={"fewshot": fewshot}),)})
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    stage = Contamination(
        suite=suite,
        data=suite_sources(suite, locator),
        training=(locator.source(SourceSpec(uri="file:corpus.txt"), "data"),),
    )
    store = Store(tmp_path / "runs")
    assert graph.run([stage], store, graph.inline(store)).failed == {}
    metrics = store.record(stage).metrics  # type: ignore[union-attr]
    flagged = 1 if fewshot == "fixed" else 2
    assert metrics["counts"] == {
        "own-label": {"items": 6, "judged": 6, "flagged": 0},
        "own-label few-shot": {"items": pool, "judged": pool, "flagged": flagged},
    }


def test_both_answers_of_a_preference_are_looked_up(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    write(tasks)
    rows = [json.loads(line) for line in (tasks / "train.jsonl").read_text().splitlines()]
    better, worse = (" ".join([row["id"], row["place"], row["text"]]) for row in rows[1:3])
    ask = {"role": "user", "content": "무엇입니까?"}
    row = {
        "chosen": [ask, {"role": "assistant", "content": better}],
        "rejected": [ask, {"role": "assistant", "content": worse}],
    }
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    suite = wanted_suite(Wanted(tasks=("own_label",), include=tasks, num_fewshot=2), tmp_path)
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    stage = Contamination(
        suite=suite,
        data=suite_sources(suite, locator),
        training=(locator.source(SourceSpec(uri="file:pairs.jsonl"), "data"),),
    )
    store = Store(tmp_path / "runs")
    assert graph.run([stage], store, graph.inline(store)).failed == {}
    metrics = store.record(stage).metrics  # type: ignore[union-attr]
    assert metrics["counts"]["own-label few-shot"]["flagged"] == 2
