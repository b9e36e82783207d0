import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine import lease
from kollama2.engine.lease import Lease, identity
from kollama2.errors import TryLater


class Clock:
    """Time that passes only by sleeping; `during` happens at each sleep."""

    def __init__(self, during: Any = lambda now: None) -> None:
        self.now, self.during = 0.0, during

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 1000, "it would wait for ever"
        self.during(self.now)


def hold(file: Path, **changes: Any) -> dict[str, Any]:
    holder = {**identity(), "uuid": "theirs", "count": 0, **changes}
    file.write_text(json.dumps(holder))
    return holder


def take(file: Path, clock: Clock, told: list[str] | None = None) -> Lease:
    waiting = told.append if told is not None else lambda holder: None
    return Lease(file, waiting, clock=clock, sleep=clock.sleep)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train-0.lease"


def test_a_lease_is_there_while_it_is_held(file: Path) -> None:
    with Lease(file) as held:
        assert held.held()
        assert lease.holder(file) == f"process {os.getpid()}"
        held.fence()
    assert not file.exists()
    assert lease.holder(file) is None


def test_it_is_given_back_after_an_error(file: Path) -> None:
    with pytest.raises(RuntimeError), Lease(file):
        raise RuntimeError
    assert not file.exists()


def test_a_dead_holder_on_this_machine_is_replaced_at_once(file: Path) -> None:
    hold(file, pid=dead_pid())
    clock = Clock()
    with take(file, clock) as held:
        assert held.held()
        assert clock.now == 0
    assert list(file.parent.iterdir()) == []


def test_a_recycled_process_number_is_not_the_holder(file: Path) -> None:
    hold(file, ticks=-1)
    clock = Clock()
    with take(file, clock):
        assert clock.now == 0


def test_a_zombie_is_dead(file: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{process.pid}/stat")
    if not stat.exists():
        pytest.skip("needs /proc")
    ticks = int(stat.read_text().rpartition(")")[2].split()[19])
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    hold(file, pid=process.pid, ticks=ticks)
    assert lease.holder(file) is None
    process.wait()


def test_a_living_holder_is_waited_for_and_named_once(file: Path) -> None:
    hold(file)
    told: list[str] = []
    clock = Clock(lambda now: file.unlink(missing_ok=True) if now > 100 else None)
    with take(file, clock, told) as held:
        assert held.held()
        assert 100 < clock.now < 102
    assert told == [f"process {os.getpid()}"]


@pytest.mark.parametrize("elsewhere", [{"host": "far"}, {"boot": "before"}, {"space": "box"}])
def test_a_holder_elsewhere_expires_by_our_own_clock(file: Path, elsewhere: dict[str, str]) -> None:
    hold(file, **elsewhere, pid=dead_pid())
    clock = Clock()
    with take(file, clock):
        assert lease.EXPIRE_SECONDS <= clock.now < lease.EXPIRE_SECONDS + 3


def test_a_moving_counter_keeps_a_lease_alive(file: Path) -> None:
    hold(file, host="far")

    def renew(now: float) -> None:
        if now < 500:
            hold(file, host="far", count=int(now // 5))

    clock = Clock(renew)
    told: list[str] = []
    with take(file, clock, told):
        assert 495 + lease.EXPIRE_SECONDS <= clock.now < 505 + lease.EXPIRE_SECONDS
    assert told == [f"process {os.getpid()} on far"]


def test_wall_clocks_do_not_matter(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(file)
    os.utime(file, (0, 0))
    monkeypatch.setattr(time, "time", lambda: 1e12)
    clock = Clock(lambda now: file.unlink(missing_ok=True) if now > 200 else None)
    with take(file, clock):
        assert clock.now > 200


def test_an_empty_lease_is_waited_for_only_briefly(file: Path) -> None:
    file.write_text("")
    clock = Clock()
    with take(file, clock):
        assert 10 <= clock.now < 13


def test_who_was_taken_over_may_not_publish(file: Path) -> None:
    with Lease(file, renew=0.01) as held:
        beside = file.with_name("other")
        hold(beside)
        beside.replace(file)
        time.sleep(0.05)  # its renewals must not touch the new holder's file
        with pytest.raises(TryLater, match="took over train-0"):
            held.fence()
        assert json.loads(file.read_text())["uuid"] == "theirs"
    assert json.loads(file.read_text())["uuid"] == "theirs"


def test_the_counter_moves(file: Path) -> None:
    with Lease(file, renew=0.01):
        before = json.loads(file.read_text())["count"]
        time.sleep(0.1)
        assert json.loads(file.read_text())["count"] > before


def test_of_many_watchers_of_a_dead_holder_one_at_a_time_gets_in(file: Path) -> None:
    hold(file, pid=dead_pid())
    inside, most, times = 0, 0, 0
    lock = threading.Lock()

    def enter() -> None:
        nonlocal inside, most, times
        with Lease(file) as held:
            with lock:
                inside, times = inside + 1, times + 1
                most = max(most, inside)
            time.sleep(0.002)
            held.fence()
            with lock:
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, times) == (1, 12)
    assert list(file.parent.iterdir()) == []


def test_a_watcher_that_died_while_taking_over_blocks_nobody(file: Path) -> None:
    hold(file, pid=dead_pid())
    file.with_name(f"{file.name}.after-theirs").write_text("")
    clock = Clock()
    with take(file, clock):
        assert 10 <= clock.now < 13
    assert list(file.parent.iterdir()) == []


def test_a_host_that_was_renamed_is_waited_for_no_longer_than_a_lease(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(file, host="its-old-name", pid=dead_pid())
    clock = Clock()
    with take(file, clock):
        assert lease.EXPIRE_SECONDS <= clock.now < lease.EXPIRE_SECONDS + 3
    # Who was renamed while it holds is still itself: its counter moves, and its file is its own.
    with Lease(file) as held:
        monkeypatch.setattr(platform, "node", lambda: "its-new-name")
        assert held.held()
        held.fence()
    assert not file.exists()


@pytest.mark.parametrize("jump", [-86_400.0, -30.0, 30.0, 86_400.0])
def test_a_clock_that_jumps_costs_one_lease_at_most(file: Path, jump: float) -> None:
    """A monotonic clock does not jump where it is sound; after a sleep of the machine some do."""
    hold(file, host="far")
    jumped = False

    waited, clock = 0.0, Clock()

    def sleep(seconds: float) -> None:
        nonlocal waited, jumped
        waited += seconds
        clock.now += seconds
        if not jumped and waited > 20:
            jumped, clock.now = True, clock.now + jump
        assert waited < 1000, "it would wait for ever"

    with Lease(file, clock=clock, sleep=sleep) as held:
        assert held.held()
    assert waited < 20 + lease.EXPIRE_SECONDS + 3


HOLD = """
import sys, time
from pathlib import Path
from kollama2.engine.lease import Lease
file, seconds, expire = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
with Lease(file, expire=expire, renew=0.05) as held:
    print("held", flush=True)
    time.sleep(seconds)
    held.fence()
    with file.with_name("log").open("a") as log:
        log.write(f"{time.monotonic_ns()} {sys.argv[4]}\\n")
"""


def process(file: Path, seconds: float, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), str(seconds), "2", name],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_processes_take_turns(file: Path) -> None:
    both = [process(file, 0.3, name) for name in ("first", "second")]
    assert [one.communicate(timeout=30)[0] for one in both] == ["held\n"] * 2
    times = [int(line.split()[0]) for line in file.with_name("log").read_text().splitlines()]
    assert times[1] - times[0] >= 0.3e9
    assert not file.exists()


def test_a_process_takes_over_at_once_from_one_that_was_killed(file: Path) -> None:
    first = process(file, 100, "first")
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = process(file, 0, "second")
    time.sleep(0.5)
    assert second.poll() is None or not file.with_name("log").exists()
    first.kill()
    first.communicate()
    began = time.monotonic()
    assert second.communicate(timeout=30)[0] == "held\n"
    assert time.monotonic() - began < 5
    assert file.with_name("log").read_text().split()[1] == "second"
