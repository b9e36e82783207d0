import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.graph import Event, Plan, inline, plan, run
from kollama2.engine.progress import Record
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
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

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Record:
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
    events: list[Event] = []
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
    events: list[Event] = []

    def watch(event: Event) -> None:
        assert threading.current_thread() is threading.main_thread()
        events.append(event)

    run([BASE], store, inline(store), 4, watch)
    assert [e.what for e in events if e.stage == CORPUS] == ["started", "finished"]
    whats = [event.what for event in events if event.stage == BASE]
    assert (whats[0], set(whats[1:-1]), whats[-1]) == ("started", {"progress"}, "finished")
    assert events[-1].figures == store.record(BASE)


def test_a_finished_target_needs_nothing_and_an_unfinished_one_all(store: Store) -> None:
    run([BASE], store, inline(store))
    (store.path(CORPUS) / "text.txt").unlink()
    assert plan([BASE], store).todo == ()
    child = Train(model=BASE)
    assert {stage.name for stage in plan([child], store).todo} == {CORPUS.name, child.name}
    assert len(run([child], store, inline(store)).computed) == 2


def test_at_most_so_many_stages_at_a_time(store: Store) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Record:
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

    def launch(stage: Stage, tell: Any, stop: threading.Event) -> Record:
        launched.append(stage.name)
        tell("started", {})
        assert stop.wait(10)
        raise AssertionError("stopped")

    def interrupt(event: Event) -> None:
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

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([Slow(text="a")], store, inline(store), 1, interrupt)
    assert time.monotonic() - started < 5


def test_only_modules_of_stages_to_compute_are_preloaded(store: Store) -> None:
    todo: Plan = plan([Look(data=CORPUS)], store)
    assert todo.preload == ("kollama2.evaluation",)
    assert plan([CORPUS], store).preload == ()
    run([Look(data=CORPUS)], store, inline(store))
    assert plan([Look(data=CORPUS)], store).preload == ()
