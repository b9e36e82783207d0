import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from kollama2.engine import launch as launching
from kollama2.engine.graph import StageEvent, plan, run
from kollama2.engine.launch import local
from kollama2.engine.profile import Profile, Resources
from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from tests.engine.fakes import Corpus, Look, Train, Trouble

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_each_stage_gets_a_process_of_its_own(store: Store) -> None:
    looks = [Look(index=index) for index in range(3)]
    profile = Profile(default=Resources(threads=2), kinds={"train": Resources(threads=1)})
    events: list[StageEvent] = []
    launch = local(store, profile, preload=plan(looks, store).preload)
    outcome = run([*looks, Train()], store, launch, 2, events.append)
    assert outcome.exit_code == 0, outcome
    metrics = [event.figures["metrics"] for event in events if event.what == "finished"]
    found = [figures for figures in metrics if "pid" in figures]
    assert len({figures["pid"] for figures in found} | {os.getpid()}) == 4
    assert {figures["threads"] for figures in found} == {"2"}
    if sys.platform == "linux":
        assert len({figures["parent"] for figures in found}) == 1
    shown = [event for event in events if event.what == "progress"]
    assert shown
    assert shown[-1].figures["unit"] == "steps"
    assert (store.path(looks[0]) / "log.txt").read_text() == "looking\n"
    assert store.verify() == {}


@pytest.mark.parametrize("forks", [True, False])
def test_a_script_without_a_guard_is_run_once(forks: bool, store: Store, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from kollama2.engine import graph, launch, store
from tests.engine.fakes import Look
print("once")
launch._can_fork = lambda profile: {forks}
here = store.Store(Path({str(store.root)!r}))
done = graph.run([Look(index=0), Look(index=1)], here, launch.local(here), 2)
print(len(done.computed), done.failed)
"""
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT)))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("once\n2 {}\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="forks only on Linux")
def test_modules_are_imported_once_ahead(store: Store) -> None:
    code = f"""
from pathlib import Path
from kollama2.engine import graph, launch, store
from tests.engine.fakes import Look
here = store.Store(Path({str(store.root)!r}))
todo = graph.plan([Look()], here)
graph.run([Look()], here, launch.local(here, preload=todo.preload))
"""
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    record = store.record(Look())
    assert record is not None
    assert record.metrics["preloaded"]


def test_one_stage_that_goes_wrong_leaves_the_others_alone(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    troubles = {how: Trouble(how=how) for how in ("fault", "error", "exit", "SIGKILL", "SIGSEGV")}
    fine: list[Stage] = [Train(seed=seed) for seed in range(3)]
    launch = local(store)
    outcome = run([*troubles.values(), *fine], store, launch, 2)
    assert sorted(outcome.computed) == sorted(stage.name for stage in fine)
    said = {how: outcome.failed[stage.name] for how, stage in troubles.items()}
    assert said["fault"] == "row 7 is empty; remove it"
    assert "RuntimeError: shapes 3 and 4 do not fit (traceback: " in said["error"]
    assert "ended with exit code 3" in said["exit"]
    assert "SIGKILL (137), probably because memory ran out" in said["SIGKILL"]
    assert "killed by SIGSEGV (139)" in said["SIGSEGV"]
    for how, stage in troubles.items():
        log = (store.partial(stage) / "log.txt").read_text()
        assert "in words" in log, how
    assert "words" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("how", "exit_code"), [("fault", 65), ("error", 70), ("SIGKILL", 75), ("SIGTERM", 75)]
)
def test_exit_codes_come_back(store: Store, how: str, exit_code: int) -> None:
    outcome = run([Trouble(how=how)], store, local(store))
    assert outcome.exit_code == exit_code


def test_an_unknown_kind_is_said(store: Store) -> None:
    class Strange(Stage):
        pass

    outcome = run([Strange(kind="strange")], store, local(store))
    (message,) = outcome.failed.values()
    assert f"{__name__} cannot read the recipe of kind 'strange': the recipe: " in message
    assert "kind is 'strange', and these can be read: " in message
    assert ", look, " in message


def test_an_interrupt_ends_the_workers(store: Store) -> None:
    stages = [Trouble(how="hang", data=Corpus(text=text)) for text in "ab"]
    events: list[StageEvent] = []

    def interrupt(event: StageEvent) -> None:
        events.append(event)
        if [e.what for e in events if e.stage in stages].count("started") == 2:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(stages, store, local(store), 2, interrupt)
    assert time.monotonic() - started < 5
    assert all(store.holder(stage) is None for stage in stages)
    assert all(store.partial(stage).is_dir() for stage in stages)


def test_workers_die_with_the_main_process(store: Store) -> None:
    code = f"""
from pathlib import Path
from kollama2.engine import graph, launch, store
from tests.engine.fakes import Trouble
here = store.Store(Path({str(store.root)!r}))
graph.run([Trouble(how="hang")], here, launch.local(here))
"""
    main = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    stage = Trouble(how="hang")
    _until(lambda: (store.partial(stage) / "log.txt").exists())
    workers = psutil.Process(main.pid).children(recursive=True)
    assert len(workers) >= 2
    main.kill()
    main.wait()
    psutil.wait_procs(workers, timeout=5)
    assert not any(process.is_running() for process in workers if process.pid != main.pid)
    assert store.holder(stage) is None


def test_a_worker_waits_for_another_process_and_uses_its_result(store: Store) -> None:
    stage = Train(steps=2)
    events: list[StageEvent] = []

    def when_waited_for(stage: Stage, work: Work) -> Mapping[str, Any]:
        _until(lambda: any(event.what == "waiting" for event in events))
        return stage.run(work)

    other = threading.Thread(
        target=store.compute, args=(stage,), kwargs={"execute": when_waited_for}
    )
    other.start()
    _until(lambda: store.holder(stage) is not None)
    outcome = run([stage], store, local(store), 1, events.append)
    other.join()
    assert outcome.exit_code == 0
    assert [event.what for event in events] == ["launching", "waiting", "finished"]
    assert events[1].figures == {"holder": f"process {os.getpid()}"}


def test_two_processes_compute_each_stage_once(store: Store) -> None:
    code = f"""
from pathlib import Path
from kollama2.engine import graph, launch, store
from tests.engine.fakes import Train
here = store.Store(Path({str(store.root)!r}))
base = Train(seed=9, pause=0.02)
targets = [Train(model=base, seed=seed, pause=0.02) for seed in range(5)]
outcome = graph.run(targets, here, launch.local(here), 2)
assert outcome.exit_code == 0, outcome
"""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    records = list(store.records())
    assert len(records) == 6
    assert {record.attempts for record in records} == {1}
    assert store.verify() == {}
    assert not [path for path in store.root.iterdir() if "." in path.name]


def test_workers_are_not_forked_where_a_stage_may_use_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launching, "gpu_names", lambda: ["NVIDIA H100"])
    assert not launching._can_fork(Profile())
    assert launching._can_fork(Profile(default=Resources(device="cpu")))


def test_spawned_workers_do_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_can_fork", lambda profile: False)
    outcome = run([Look()], store, local(store))
    assert outcome.exit_code == 0


def _until(condition) -> None:  # type: ignore[no-untyped-def]
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")
