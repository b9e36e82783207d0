import errno
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from kollama2.engine import commit, store
from kollama2.engine.failure import Failed
from kollama2.engine.profile import Resources
from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from kollama2.errors import BadData, Denied, Missing, StorageTrouble, TryLater
from tests.engine.fakes import Corpus, Look, Train, Trouble
from tests.jsons import change

CORPUS = Corpus(text="나무")
TRAIN = Train(model=CORPUS, steps=2)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_a_stage_is_computed_once_and_kept_with_its_whole_story(here: Store) -> None:
    told: list[tuple[str, Any]] = []
    corpus = here.compute(CORPUS)
    record = here.compute(TRAIN, Resources(threads=3), lambda *news: told.append(news))
    assert here.record(TRAIN) == record
    assert here.compute(TRAIN) == record
    assert corpus.metrics == {"letters": 2}
    assert record.inputs == [CORPUS.name]
    assert record.metrics["loss"] == 0.5
    assert record.attempts == 1
    assert record.threads == 3
    assert record.peak_memory_bytes > 1e7
    assert 0 <= record.seconds < 5
    assert {
        "git",
        "python",
        "packages",
        "platform",
        "cpu",
        "gpus",
        "kollama2",
    } <= record.plain().keys()
    assert told[0] == ("started", {})
    assert told[-1][0] == "progress"
    assert told[-1][1]["done"] == told[-1][1]["total"] == 2
    assert {p.name for p in here.path(TRAIN).iterdir()} == {
        "MANIFEST.json", "done.json", "stage.json", "started.txt", "weights.txt",
    }  # fmt: skip
    assert Stage.model_validate(json.loads((here.path(TRAIN) / "stage.json").read_text())) == TRAIN
    assert {p.name for p in here.root.iterdir()} == {CORPUS.name, TRAIN.name}
    assert here.verify() == {}


def test_records_are_of_finished_stages(here: Store) -> None:
    here.compute(CORPUS)
    (here.root / "studies").mkdir()
    (record,) = here.records()
    assert record.name == CORPUS.name
    assert list(Store(here.root / "none").records()) == []


def test_an_input_must_be_there_and_whole(here: Store) -> None:
    with pytest.raises(Missing, match=rf"{TRAIN.name} needs {CORPUS.name}"):
        here.compute(TRAIN)
    here.compute(CORPUS)
    (here.path(CORPUS) / "text.txt").write_text("나")
    with pytest.raises(Exception, match="does not have the 6 bytes"):
        here.compute(TRAIN)
    assert not here.partial(TRAIN).exists()


@pytest.mark.parametrize("damage", ["cut", "missing", "added", "no manifest"])
def test_a_damaged_result_is_moved_aside_and_made_again(
    here: Store, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        here.compute(CORPUS)
        text = here.path(CORPUS) / "text.txt"
        match damage:
            case "cut":
                text.write_text("")
            case "missing":
                text.unlink()
            case "added":
                text.with_name("more").write_text("")
            case _:
                (here.path(CORPUS) / "MANIFEST.json").unlink()
        assert here.record(CORPUS) is None
    here.compute(CORPUS)
    assert (here.path(CORPUS) / "text.txt").read_text() == "나무"
    names = {path.name for path in here.root.iterdir()}
    assert names == {CORPUS.name, f"{CORPUS.name}.corrupt-1", f"{CORPUS.name}.corrupt-2"}
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2
    assert said[0].endswith(f"it is now {CORPUS.name}.corrupt-1 and is computed again")


def test_a_flipped_bit_is_found_by_the_full_check(here: Store) -> None:
    here.compute(CORPUS)
    (here.path(CORPUS) / "text.txt").write_text("나문")
    assert here.verify(full=False) == {}
    assert "SHA-256" in here.verify()[CORPUS.name]


def test_metrics_of_any_number_type_are_kept(here: Store) -> None:
    numpy = pytest.importorskip("numpy")

    def execute(stage: Stage, work: Work) -> Mapping[str, Any]:
        return {"a": numpy.float32(0.5), "b": {"c": [float("nan"), float("inf"), 1]}}

    record = here.compute(CORPUS, execute=execute)
    assert record.metrics == {"a": 0.5, "b": {"c": [None, None, 1]}}
    assert here.record(CORPUS) == record


def test_a_progress_file_cut_by_lost_power_does_not_matter(here: Store) -> None:
    here.partial(CORPUS).mkdir(parents=True)
    (here.partial(CORPUS) / "progress.json").write_text("")
    assert here.compute(CORPUS).attempts == 1


def test_a_fault_of_a_stage_stays_what_it_is(here: Store) -> None:
    with pytest.raises(BadData, match="row 7 is empty; remove it"):
        here.compute(Trouble(how="fault"))
    assert not (here.partial(Trouble(how="fault")) / "error.log").exists()


def test_an_error_of_a_stage_is_one_line_and_a_traceback_in_a_file(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Stage):
        kind: Literal["wrong"] = "wrong"

        def run(self, work: Work) -> Mapping[str, Any]:
            raise RuntimeError(f"{fails[0]}\nsecond line")

    monkeypatch.setenv("HUB_TOKEN", "very-secret-value")
    fails = ["first reason very-secret-value"]
    log = here.partial(Wrong()) / "error.log"
    with pytest.raises(Failed) as caught:
        here.compute(Wrong())
    assert str(caught.value) == (
        f"{Wrong().name} stopped with RuntimeError: first reason *** (traceback: {log})"
    )
    assert "Traceback" in log.read_text()
    assert "very-secret-value" not in log.read_text()
    fails = ["second reason"]
    with pytest.raises(Failed, match="second reason"):
        here.compute(Wrong())
    assert "first reason" not in log.read_text()
    assert not list(here.root.glob("*.lease"))


@pytest.mark.parametrize("error", [MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})()])
def test_running_out_of_memory_can_be_tried_again(here: Store, error: Exception) -> None:
    def execute(stage: Stage, work: Work) -> Mapping[str, Any]:
        raise error

    with pytest.raises(TryLater, match="micro_batch_tokens"):
        here.compute(CORPUS, execute=execute)


def test_a_stage_resumes_and_its_time_adds_up(here: Store) -> None:
    here.compute(CORPUS)

    def killed(stage: Stage, work: Work) -> Mapping[str, Any]:
        (work.scratch / "pieces").mkdir()
        (work.scratch / "pieces" / "0").write_text("kept ")
        (work.out / f".state.json.{'0' * 32}").write_text("half")
        work.progress(1, 2, "steps")
        file = work.out / "progress.json"
        commit.write_json(file, {**json.loads(file.read_text()), "seconds": 100.0})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.compute(TRAIN, execute=killed)
    progress = here.progress(TRAIN)
    assert progress is not None
    assert (progress["done"], progress["total"]) == (1, 2)
    record = here.compute(TRAIN)
    assert 100 < record.seconds < 105
    assert record.attempts == 2
    assert (here.path(TRAIN) / "weights.txt").read_text().startswith("kept ")
    assert not list(here.path(TRAIN).glob(".*"))
    assert here.progress(TRAIN) is None


@pytest.mark.parametrize("moment", ["rmtree", "move"])
def test_a_kill_between_seal_and_rename_costs_only_the_rename(
    here: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    here.compute(CORPUS)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil if moment == "rmtree" else commit, moment, killed)
        here.compute(TRAIN)
    record = here.compute(TRAIN, execute=killed)
    assert here.record(TRAIN) == record
    assert here.verify() == {}
    assert not (here.path(TRAIN) / "scratch").exists()


def test_a_sealed_folder_that_was_damaged_is_worked_on_again(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    here.compute(CORPUS)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(commit, "move", killed)
        here.compute(TRAIN)
    (here.partial(TRAIN) / "weights.txt").write_text("lost power")
    here.compute(TRAIN)
    assert here.verify() == {}
    assert "lost power" not in (here.path(TRAIN) / "weights.txt").read_text()


def test_a_full_disk_is_said_and_nothing_is_lost(here: Store) -> None:
    here.compute(CORPUS)

    def full(stage: Stage, work: Work) -> Mapping[str, Any]:
        (work.scratch / "checkpoint").write_text("1")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(work.out / "weights"))

    with pytest.raises(TryLater, match=r"is full; everything finished is kept: free some space"):
        here.compute(TRAIN, execute=full)
    assert (here.partial(TRAIN) / "scratch" / "checkpoint").exists()
    assert here.record(CORPUS) is not None
    assert here.compute(TRAIN).attempts == 2


def test_a_disk_that_fills_up_anywhere_loses_nothing(small_disk: Path) -> None:
    store = Store(small_disk / "runs")
    store.compute(CORPUS)
    ballast, full = small_disk / "ballast", 0
    for free in range(0, 56, 4):
        stage = Train(model=CORPUS, steps=2, seed=free)
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - free * 1024))
        try:
            store.compute(stage)
        except TryLater as fault:
            assert "is full" in str(fault)
            full += 1
        assert store.verify() == {}
        ballast.unlink()
        assert store.compute(stage).metrics["loss"] == 0.5
        shutil.rmtree(store.path(stage))
        assert {path.name for path in store.root.iterdir()} == {CORPUS.name}
    assert 3 < full < 14


def test_a_read_only_disk_is_said_and_can_be_read(small_disk: Path) -> None:
    store = Store(small_disk / "runs")
    record = store.compute(CORPUS)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert store.compute(CORPUS) == record
    with pytest.raises(StorageTrouble, match=r"train.* cannot be written or read: Read-only"):
        store.compute(TRAIN)


def test_a_store_that_cannot_be_written_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageTrouble, match=r"file.* cannot be written or read: (Not a dir|File)"):
        Store(tmp_path / "file").compute(CORPUS)
    with pytest.raises(StorageTrouble, match="cannot be written or read: Not a directory"):
        Store(tmp_path / "file" / "deeper").compute(CORPUS)
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and "lease" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Denied, match=re.escape(str(tmp_path / "runs" / CORPUS.name))):
        Store(tmp_path / "runs").compute(CORPUS)


def test_a_finished_stage_is_read_from_a_store_that_cannot_be_written(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = here.compute(CORPUS)

    def refuse(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(store.lease, "Lease", refuse)
    assert here.compute(CORPUS) == record


def test_a_store_can_be_moved(here: Store) -> None:
    here.compute(CORPUS)
    here.compute(TRAIN)
    here.root.rename(here.root.with_name("elsewhere"))
    moved = Store(here.root.with_name("elsewhere"))
    assert moved.record(TRAIN) is not None
    assert moved.compute(Look(data=TRAIN), execute=_listing).metrics == {"there": True}


def _listing(stage: Stage, work: Work) -> Mapping[str, Any]:
    return {"there": all(work.path(needed).is_dir() for needed in stage.inputs())}


def test_of_many_threads_one_computes(here: Store) -> None:
    times: list[int] = []

    def execute(stage: Stage, work: Work) -> Mapping[str, Any]:
        times.append(1)
        return stage.run(work)

    def compute() -> None:
        here.compute(CORPUS, execute=execute)

    threads = [threading.Thread(target=compute) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1


def test_progress_is_shown_at_most_four_times_a_second(here: Store) -> None:
    told: list[Any] = []

    def execute(stage: Stage, work: Work) -> Mapping[str, Any]:
        for step in range(1000):
            work.progress(step, 1000, "steps")
        work.progress(1000, 1000, "steps", loss=1.5)
        return {}

    here.compute(CORPUS, tell=lambda what, figures: told.append((what, figures)), execute=execute)
    shown = [figures for what, figures in told if what == "progress"]
    assert len(shown) <= 3
    assert (shown[-1]["done"], shown[-1]["loss"]) == (1000, 1.5)


def test_a_manifest_of_a_newer_version_names_both_and_stays(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), Corpus(text="나무")
    store.compute(stage)
    folder = store.path(stage)
    change(folder / "done.json", kollama2="10.2.0")
    change(folder / "MANIFEST.json", by="x")
    for ask in (store.record, store.compute):
        with pytest.raises(Missing, match=r"MANIFEST.json was written by kollama2 10\.2\.0 and"):
            ask(stage)
    assert folder.is_dir()
