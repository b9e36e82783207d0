import json
import os
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
