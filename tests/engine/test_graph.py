import errno
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine import commit
from kollama2.engine.graph import Plan, StageEvent, inline, plan, run
from kollama2.engine.launch import local
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.records.done import Done
from tests.engine.fakes import Corpus, Look, Part, Train, Trouble

CORPUS = Corpus(text="나무")
BASE = Train(model=CORPUS, seed=9)


def nine() -> list[Stage]:
    """Nine recipes that share a corpus and a base."""
    return [Train(model=BASE, data=(Part(source=CORPUS),), seed=seed) for seed in range(9)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_plan_counts_what_is_shared(store: Store) -> None:
    todo = plan(nine(), store)
    assert [stage.name for stage in todo.stages[:2]] == [CORPUS.name, BASE.name]
    assert len(todo.stages) == len(todo.todo) == 11
    assert todo.saved == 9 * 3 - 11 == 16
    assert todo.cached == frozenset()
    assert not list(store.root.iterdir())
    assert plan([*nine(), *nine()], store).saved == 16


def test_shared_stages_are_computed_once_and_a_second_time_nothing_is(store: Store) -> None:
    launched: list[str] = []

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Done:
        launched.append(stage.name)
        return store.compute(stage, tell=tell)

    first = run(nine(), store, launch, jobs=3)
    assert sorted(launched) == sorted(s.name for s in plan(nine(), store).stages if not s.inline)
    assert len(first.computed) == 11
    assert (first.failed, first.blocked, first.exit_code) == ({}, {}, 0)
    launched.clear()
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    started = time.monotonic()
    second = run(nine(), store, launch, jobs=3)
    assert time.monotonic() - started < 3
    assert launched == []
    assert (second.computed, len(second.cached)) == ((), 11)
    assert before == {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}


def test_a_failing_stage_stops_only_what_depends_on_it(store: Store) -> None:
    bad = Trouble(how="fault")
    after = Look(data=bad)
    later = Look(data=after, index=1)
    events: list[StageEvent] = []
    outcome = run([later, *nine()], store, inline(store), 2, events.append)
    assert outcome.failed == {bad.name: "row 7 is empty; remove it"}
    assert outcome.blocked == {after.name: bad.name, later.name: bad.name}
    assert len(outcome.computed) == 11
    assert outcome.exit_code == 65
    whats = [event.what for event in events if event.stage in (bad, after, later)]
    assert whats == ["started", "failed", "blocked", "blocked"]
    again = run([later, *nine()], store, inline(store))
    assert len(again.cached) == 11
    assert again.failed == outcome.failed


def test_events_come_in_the_calling_thread_and_tell_the_record(store: Store) -> None:
    events: list[StageEvent] = []

    def watch(event: StageEvent) -> None:
        assert threading.current_thread() is threading.main_thread()
        events.append(event)

    run([BASE], store, inline(store), 4, watch)
    assert [e.what for e in events if e.stage == CORPUS] == ["started", "finished"]
    whats = [event.what for event in events if event.stage == BASE]
    assert (whats[0], set(whats[1:-1]), whats[-1]) == ("started", {"progress"}, "finished")
    assert events[-1].figures == store.record(BASE).plain()  # type: ignore[union-attr]


def test_a_finished_target_needs_nothing_and_an_unfinished_one_all(store: Store) -> None:
    run([BASE], store, inline(store))
    (store.path(CORPUS) / "text.txt").unlink()
    assert plan([BASE], store).todo == ()
    child = Train(model=BASE)
    assert {stage.name for stage in plan([child], store).todo} == {CORPUS.name, child.name}
    assert len(run([child], store, inline(store)).computed) == 2


def test_at_most_so_many_stages_at_a_time(store: Store) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Done:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        record = store.compute(stage, tell=tell)
        with lock:
            now -= 1
        return record

    run(nine(), store, launch, jobs=3)
    assert most == 3


def test_an_interrupt_stops_launchers_and_what_waits_is_never_started(store: Store) -> None:
    launched: list[str] = []

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Done:
        launched.append(stage.name)
        tell("started", {})
        assert stop.wait(10)
        raise AssertionError("stopped")

    def interrupt(event: StageEvent) -> None:
        raise KeyboardInterrupt

    targets = [Train(seed=seed) for seed in range(5)]
    with pytest.raises(KeyboardInterrupt):
        run(targets, store, launch, 2, interrupt)
    assert 1 <= len(launched) <= 2
    assert run(targets, store, inline(store)).exit_code == 0


def test_an_interrupt_ends_a_stage_in_this_process(store: Store) -> None:
    class Slow(Corpus):
        def run(self, work: Any) -> Any:
            for step in range(1000):
                time.sleep(0.01)
                work.progress(step, 1000, "bytes")

    def interrupt(event: StageEvent) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([Slow(text="a")], store, inline(store), 1, interrupt)
    assert time.monotonic() - started < 5


def test_only_modules_of_stages_to_compute_are_preloaded(store: Store) -> None:
    todo: Plan = plan([Look(data=CORPUS)], store)
    assert todo.preload == ("kollama2.evaluation", "tests.engine.fakes")
    assert plan([CORPUS], store).preload == ()
    run([Look(data=CORPUS)], store, inline(store))
    assert plan([Look(data=CORPUS)], store).preload == ()


FIRST = Train(model=CORPUS, steps=1)
SECOND = Train(model=FIRST, steps=1, seed=1)


def flip(file: Path) -> None:
    """Change a file's content, and neither its size nor its times."""
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damaged", [[CORPUS], [FIRST], [CORPUS, FIRST]])
def test_what_is_damaged_is_found_before_it_is_used_and_computed_again(
    store: Store, damaged: list[Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([SECOND], store, inline(store)).exit_code == 0
    right = (store.path(SECOND) / "weights.txt").read_bytes()
    shutil.rmtree(store.path(SECOND))
    for stage in damaged:
        flip(next(store.path(stage).glob("[tw]e*.txt")))
    # The corpus is read only when the training after it must be done again.
    found = [stage for stage in damaged if stage is FIRST or len(damaged) == 2]
    outcome = run([SECOND], store, inline(store))
    assert (outcome.exit_code, outcome.failed) == (0, {})
    assert (store.path(SECOND) / "weights.txt").read_bytes() == right
    assert {path.name for path in store.root.glob("*.corrupt-1")} == {
        f"{stage.name}.corrupt-1" for stage in found
    }
    said = capsys.readouterr().err
    assert said.count("its SHA-256 has changed; it is now") == len(found)


def test_two_finished_folders_that_were_swapped_are_both_computed_again(store: Store) -> None:
    other = Corpus(text="숲길")
    run([CORPUS, other], store, inline(store))
    one, two = store.path(CORPUS), store.path(other)
    one.rename(store.root / "aside")
    two.rename(one)
    (store.root / "aside").rename(two)
    assert plan([CORPUS, other], store).cached == frozenset()
    assert run([FIRST, other], store, inline(store)).exit_code == 0
    assert (one / "text.txt").read_text(encoding="utf-8") == CORPUS.text
    assert (two / "text.txt").read_text(encoding="utf-8") == other.text


def test_a_worker_that_finds_damage_has_it_computed_again(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    launch = local(store)
    run([FIRST], store, launch)
    flip(store.path(FIRST) / "weights.txt")
    assert run([SECOND], store, launch).exit_code == 0
    assert f"it is now {FIRST.name}.corrupt-1 and is computed again" in capfd.readouterr().err


def test_all_stages_that_find_the_same_damage_wait_for_it_to_be_mended(store: Store) -> None:
    run([FIRST], store, inline(store))
    flip(store.path(FIRST) / "weights.txt")
    many = [Train(model=FIRST, steps=1, seed=seed) for seed in range(1, 9)]
    outcome = run(many, store, inline(store), jobs=4)
    assert (outcome.exit_code, outcome.failed) == (0, {})
    assert len(list(store.root.glob("*.corrupt-*"))) == 1


def test_damage_that_nobody_can_mend_ends_with_its_code(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([FIRST], store, inline(store))
    flip(store.path(FIRST) / "weights.txt")
    monkeypatch.setattr(Path, "rename", refuse)
    outcome = run([SECOND], store, inline(store))
    assert outcome.exit_code == 76
    assert "its SHA-256 has changed; remove" in outcome.failed[SECOND.name]


def refuse(*arguments: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_content_is_hashed_once_a_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run([FIRST], store, inline(store))
    monkeypatch.setattr(commit, "_TICK_NS", 0)
    hashed: list[Path] = []
    real = commit.sha256

    def counted(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(commit, "sha256", counted)
    for _ in range(3):
        store.input(FIRST)
    assert len(hashed) == len(set(hashed)) == 4
    (store.path(FIRST) / "weights.txt").touch()
    store.input(FIRST)
    assert len(hashed) == 5
