"""What is shown of a store while others compute in it: each state, and nothing is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.lease import Lease
from kollama2.errors import BadUsage, Corrupt
from kollama2.watch.read import Records
from tests.reporting import fake

MISSING = frozenset({("vicuna-lora", 1), ("alpaca-lora", 1), ("alpaca-full", 1)})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fake.write(tmp_path, seeds=(0, 1), items=4, missing=MISSING)


def files(store: Path) -> dict[str, tuple[int, int]]:
    """Everything in a store but leases, which their holders renew."""
    found = {str(one): one.stat() for one in [store, *store.rglob("*")] if one.suffix != ".lease"}
    return {name: (one.st_mtime_ns, one.st_size) for name, one in found.items()}


def unfinished(store: Path, recipe: str, kind: str = "finetune") -> Path:
    """The folder in which a stage of the second seed is worked on."""
    cells = json.loads((store / "studies" / "quick.json").read_text())["cells"]
    cell = next(one for one in cells if (one["recipe"], one["seed"]) == (recipe, 1))
    name = cell["evaluate"] if kind == "evaluate" else cell["model"]
    folder = store / f"{name}.partial"
    folder.mkdir()
    return folder


def line(step: int, loss: float) -> str:
    return json.dumps({"step": step, "tokens": 10 * step, "loss": loss}) + "\n"


def points(records: Records, recipe: str) -> list[Any]:
    (curve,) = [
        one
        for one in records.study("quick")["curves"]
        if (one["recipe"], one["seed"]) == (recipe, 1)
    ]
    return [(one["step"], one["loss"]) for one in curve["points"]]


def test_each_state_of_a_stage(store: Path) -> None:
    running, failed = unfinished(store, "vicuna-lora"), unfinished(store, "alpaca-lora")
    (running / "progress.json").write_text(
        json.dumps({"done": 3.5, "total": 10, "unit": "steps", "seconds": 7.0, "loss": 1.0})
    )
    (failed / "error.log").write_text("Traceback\n  line\nValueError: no \x1b[31mroom\n\n")
    interrupted = unfinished(store, "alpaca-full")
    (interrupted / "progress.json").write_text('{"done": NaN')
    records = Records(store)
    with Lease(store / f"{running.stem}.lease"):
        before = files(store)
        found = records.study("quick")
        assert records.studies() == [{"name": "quick", "running": True}]
        records.board("quick")
        assert files(store) == before
    stages = {one["name"]: one for one in found["stages"]}
    assert stages[running.stem] == {
        "name": running.stem, "kind": "finetune", "recipes": ["vicuna-lora"], "state": "running",
        "done": 3.5, "total": 10, "unit": "steps", "seconds": 7.0,
    }  # fmt: skip
    assert stages[failed.stem]["state"] == "failed"
    assert stages[failed.stem]["why"].startswith("ValueError: no ")
    assert "\x1b" not in stages[failed.stem]["why"]
    assert stages[interrupted.stem]["state"] == "todo"
    assert stages[interrupted.stem]["done"] is None
    done = [one for one in found["stages"] if one["state"] == "done"]
    assert len(done) == len(stages) - 6  # three trainings and what measures them
    assert {one["seconds"] for one in done if one["kind"] == "finetune"} == {61.2, 62.2}
    assert found["measured"] == 9
    assert {(one["recipe"], one["state"]) for one in found["cells"] if one["seed"] == 1} == {
        ("base", "done"), ("base-copy", "done"), ("alpaca-qlora", "done"),
        ("alpaca-full", "waiting"), ("vicuna-lora", "waiting"), ("alpaca-lora", "failed"),
    }  # fmt: skip
    assert records.studies() == [{"name": "quick", "running": False}]


def test_a_curve_grows_and_a_resumed_training_takes_its_place(store: Path) -> None:
    file = unfinished(store, "vicuna-lora") / "metrics.jsonl"
    records = Records(store)
    assert [one for one in records.study("quick")["curves"] if one["state"] != "done"] == []
    file.write_text(line(1, 4.0) + line(2, 3.5) + '{"step": 3, "lo')
    assert points(records, "vicuna-lora") == [(1, 4.0), (2, 3.5)]
    file.write_text(line(1, 4.0) + line(2, 3.5) + line(3, 3.25))
    assert points(records, "vicuna-lora") == [(1, 4.0), (2, 3.5), (3, 3.25)]
    file.write_text(line(1, 4.0))  # resumed from its first checkpoint
    assert points(records, "vicuna-lora") == [(1, 4.0)]
    file.write_text(line(1, 4.0) + line(2, 3.0))
    assert points(records, "vicuna-lora") == [(1, 4.0), (2, 3.0)]
    # Cut and grown between two looks: what is computed anew counts.
    file.write_text(line(1, 4.0) + line(2, 3.0) + line(2, 2.5) + line(3, 2.25))
    assert points(records, "vicuna-lora") == [(1, 4.0), (2, 2.5), (3, 2.25)]


def test_a_long_curve_has_few_points_and_a_loss_that_is_none_has_no_place(store: Path) -> None:
    file = unfinished(store, "vicuna-lora") / "metrics.jsonl"
    file.write_text("".join(line(step, 2.0) for step in range(1, 1001)) + line(1001, float("nan")))
    found = points(Records(store), "vicuna-lora")
    assert len(found) == 143  # stretches of seven steps
    assert found[0] == (7, 2.0)
    assert found[-1] == (1001, None)


def test_the_leaderboard_is_computed_when_more_is_measured(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kollama2.watch import read

    calls: list[int] = []
    rank = read.rank
    monkeypatch.setattr(read, "rank", lambda *given: calls.append(1) or rank(*given))
    records = Records(store)
    first = records.board("quick")
    assert records.board("quick") == first
    assert len(calls) == 1
    rows = {one["recipe"]: one for one in first["rows"]}
    assert (rows["base"]["base"], rows["base"]["gain"]) == (True, None)
    assert rows["alpaca-full"]["missing"] == 1
    assert first["rows"][0]["recipe"] == "alpaca-full"
    assert sorted(first["headline"]) == ["en", "ko"]
    json.dumps(first, allow_nan=False)
    fake.write(store, seeds=(0, 1), items=4)
    assert {one["missing"] for one in records.board("quick")["rows"]} == {0}
    assert len(calls) == 2


def test_a_store_without_a_study_has_none_yet(tmp_path: Path) -> None:
    records = Records(tmp_path / "nowhere")
    assert records.studies() == []
    with pytest.raises(BadUsage, match="no study 'quick'"):
        records.study("quick")
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_record_is_a_sentence(store: Path) -> None:
    done = next(store.glob("evaluate-*/done.json"))
    done.write_text(done.read_text().replace("evaluate", "evaluat3"))
    with pytest.raises(Corrupt, match=r"done\.json"):
        Records(store).study("quick")
