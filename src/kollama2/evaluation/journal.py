"""Append-only files of JSON lines that survive a crash: what was acknowledged is never lost."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kollama2.errors import Corrupt


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line; when this returns, it is on the disk.

    Processes may write to one file at a time; a half line that a crash left is removed first,
    since nobody was told that it had been written.
    """
    line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _cut_half_line(handle)
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def entries(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file, in order; empty if there is no file.

    Raises:
        Corrupt: a whole line is no JSON object.
    """
    if not path.is_file():
        return []
    found = []
    *lines, _half = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise Corrupt(
                f"{path}, line {number}: not JSON ({error}); take the line out"
            ) from error
        if not isinstance(record, dict):
            raise Corrupt(f"{path}, line {number}: not a JSON object; take the line out")
        found.append(record)
    return found


def _cut_half_line(handle: int) -> None:
    size = os.fstat(handle).st_size
    end = size
    while end:
        start = max(0, end - 4096)
        block = os.pread(handle, end - start, start)
        at = block.rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
