"""A lease: the right to work on one stage, safe between processes and between machines.

A file made with O_EXCL names its holder: host, boot, process namespace, process and start of the
process. On the same machine a dead holder is seen at once. Elsewhere the holder's counter must
move: a watcher that sees it stand still for some seconds *of its own monotonic clock* takes the
lease over, so no two clocks are ever compared and no `flock` is needed.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kollama2.engine.identity import alive, identity
from kollama2.errors import TryLater, storage

RENEW_SECONDS = 5.0
EXPIRE_SECONDS = 60.0
_WIDTH = 512  # every renewal overwrites the same bytes
_EMPTY_SECONDS = 10.0  # a holder that died between making the file and writing its name into it


@dataclass
class Lease:
    """Hold it as a context; whoever finds it held waits until it is free."""

    file: Path
    waiting: Callable[[str], None] = lambda holder: None
    """Called once with the holder's description when there is one to wait for."""
    expire: float = EXPIRE_SECONDS
    renew: float = RENEW_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _handle: int | None = field(default=None, init=False)
    _owner: dict[str, Any] = field(default_factory=dict, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _renewer: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> "Lease":
        """Wait for the lease and take it.

        Raises:
            Denied, StorageTrouble, TryLater: its file cannot be written.
        """
        self._owner = {**identity(), "uuid": uuid.uuid4().hex, "count": 0}
        watched, unchanged, told, pause, before = b"", 0.0, False, 0.02, self.clock()
        with storage(self.file):
            while not self._create():
                content = read(self.file)
                if content is None:
                    continue  # released between the two looks
                # A clock that jumps, as after a sleep of the machine, counts as one pause.
                now = self.clock()
                unchanged += min(max(now - before, 0.0), pause + 1.0)
                before = now
                if content != watched:
                    watched, unchanged = content, 0.0
                holder = parse(content)
                if is_stale(holder, unchanged, self.expire):
                    if self._take_over(content):
                        break
                elif holder and not told:
                    told = True
                    self.waiting(describe(holder))
                self.sleep(pause)
                pause = min(1.0, pause * 1.5)
        self._stop.clear()
        self._renewer = threading.Thread(target=self._renew, name="renew lease", daemon=True)
        self._renewer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lease back, unless somebody has taken it over."""
        self._stop.set()
        if self._renewer is not None:
            self._renewer.join()  # it must not write to a handle that is used again by others
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self.held():
            self.file.unlink(missing_ok=True)

    def held(self) -> bool:
        """Whether the file still names us."""
        holder = parse(read(self.file) or b"")
        return holder is not None and holder["uuid"] == self._owner["uuid"]

    def fence(self) -> None:
        """Look again right before a result becomes visible.

        Raises:
            TryLater: somebody took the lease over, because we stood still for too long.
        """
        if not self.held():
            raise TryLater(
                f"another process took over {self.file.stem} because this one stood still for more "
                f"than {self.expire:g} s; its result will be used: give the same command again"
            )

    def _create(self) -> bool:
        try:
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            os.write(handle, self._content())
        except OSError:  # an empty lease would keep others waiting
            os.close(handle)
            self.file.unlink(missing_ok=True)
            raise
        self._handle = handle
        return True

    def _take_over(self, stale: bytes) -> bool:
        """Replace a stale lease; of several watchers only one gets through the gate to it.

        The gate is named after the holder it removes, so it can never remove a later one.
        """
        holder = parse(stale)
        gate = self.file.with_name(
            f"{self.file.name}.after-{holder['uuid'] if holder else 'empty'}"
        )
        try:
            os.close(os.open(gate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            self._clear_dead_gate(gate)
            return False
        beside = self.file.with_name(f"{self.file.name}.{self._owner['uuid']}")
        try:
            beside.write_bytes(self._content())
            if read(self.file) != stale:
                return False
            handle = os.open(beside, os.O_RDWR)
            beside.replace(self.file)
            self._handle = handle
            return True
        finally:
            beside.unlink(missing_ok=True)
            gate.unlink(missing_ok=True)

    def _clear_dead_gate(self, gate: Path) -> None:
        """Passing the gate takes milliseconds; who died in it is waited for once."""
        started = self.clock()
        while gate.exists() and self.clock() - started < _EMPTY_SECONDS:
            self.sleep(0.1)
        if self.clock() - started >= _EMPTY_SECONDS:
            gate.unlink(missing_ok=True)

    def _renew(self) -> None:
        """Move the counter in our own file; if it was replaced, the bytes go nowhere."""
        while not self._stop.wait(self.renew):
            self._owner["count"] += 1
            handle = self._handle
            if handle is None:
                return
            try:
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, self._content())
            except OSError:
                return  # the fence will tell

    def _content(self) -> bytes:
        return json.dumps(self._owner).encode().ljust(_WIDTH - 1) + b"\n"


def read(file: Path) -> bytes | None:
    """The content of a lease, or None where there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def parse(content: bytes) -> dict[str, Any] | None:
    """The holder that a lease names; None for a file that is empty or being written."""
    try:
        holder = json.loads(content)
        return holder if {"host", "boot", "space", "pid", "ticks", "uuid"} <= set(holder) else None
    except (ValueError, TypeError):
        return None


def is_stale(holder: dict[str, Any] | None, unchanged: float, expire: float) -> bool:
    """Whether a lease may be taken over.

    Args:
        holder: whom it names, or None if it cannot be read.
        unchanged: seconds of our own clock since its content last changed.
        expire: seconds after which a holder on another machine counts as dead.
    """
    if holder is None:
        return unchanged >= min(expire, _EMPTY_SECONDS)
    lives = alive(holder)
    return unchanged >= expire if lives is None else not lives


def holder(file: Path) -> str | None:
    """Who may be holding a lease now, in words; a holder on another machine is believed."""
    content = read(file)
    found = parse(content or b"")
    if content is None or is_stale(found, 0.0, EXPIRE_SECONDS):
        return None
    return describe(found) if found else "a process that is just starting"


def describe(holder: dict[str, Any]) -> str:
    """A holder for people."""
    here = holder["host"] == platform.node()
    return f"process {holder['pid']}" + ("" if here else f" on {holder['host']}")
