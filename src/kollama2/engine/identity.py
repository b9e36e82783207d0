"""Identity: which process on which machine something belongs to, and whether it still lives."""

import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil


def identity() -> dict[str, Any]:
    """Who this process is, in words that `alive` understands anywhere."""
    return {
        "host": platform.node(),
        "boot": _boot(),
        "space": _process_space(),
        "pid": os.getpid(),
        "ticks": _start_ticks(os.getpid()),
    }


def alive(holder: Mapping[str, Any]) -> bool | None:
    """Whether the process of an `identity` lives; None where it cannot be seen from here.

    A number that another process has by now is told by the time of its start.
    """
    here = (platform.node(), _boot(), _process_space())
    if (holder["host"], holder["boot"], holder["space"]) != here:
        return None
    return bool(_start_ticks(holder["pid"]) == holder["ticks"])


@cache
def _boot() -> str:
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else str(round(psutil.boot_time()))


@cache
def _process_space() -> str:
    """Containers on one machine share its boot but not its process numbers."""
    file = Path("/proc/self/ns/pid")
    return str(file.readlink()) if file.is_symlink() else ""


def _start_ticks(pid: int) -> float | None:
    """When a living process started, in clock ticks since boot; None for a dead or zombie one."""
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *rest = text.rpartition(")")[2].split()  # the name before may hold blanks
        return None if state in "ZX" else int(rest[18])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
