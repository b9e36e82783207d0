"""Kept: where a converted model lies, so that it is converted once."""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from kollama2.engine.commit import verify
from kollama2.errors import StorageTrouble, TryLater, storage

CACHE = "KOLLAMA2_CACHE"


def place(beside: Path, name: str) -> Path:
    """Where the conversion of something that lies in a folder is kept: there, if it can be.

    Args:
        beside: the folder.
        name: of the conversion.
    """
    cache = os.environ.get(CACHE)
    if not cache and os.access(beside, os.W_OK):
        return beside / name
    return Path(cache or "~/.cache/kollama2").expanduser() / beside.resolve().name / name


def made_once(out: Path, make: Callable[[Path], object]) -> Path:
    """A folder that is made at its first use.

    Args:
        out: the folder.
        make: makes it, whole or not at all.

    Raises:
        Corrupt: it was damaged since.
        Fault: as `make`.
    """
    if not out.exists():
        try:
            make(out)
        except StorageTrouble:
            if not out.exists():  # another process may have finished the same conversion
                raise
    verify(out)
    return out


def fingerprint(files: Sequence[Path], edition: int = 0) -> str:
    """12 hex digits that change with the files' names, sizes and times.

    Args:
        files: the files.
        edition: of the program that converts them.
    """
    whole = hashlib.sha256(f"{edition}\n".encode() if edition else b"")
    for file in files:
        with storage(file):
            stat = file.stat()
        whole.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return whole.hexdigest()[:12]


def need_space(out: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        out: a folder to be written.
        size: bytes of what will be in it.

    Raises:
        TryLater: there are fewer.
    """
    whole = out.absolute()
    parent = next(p for p in (whole, *whole.parents) if p.exists())
    free = shutil.disk_usage(parent).free
    if free < size * 1.05:
        raise TryLater(
            f"{out} needs {size * 1.05 / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB left; "
            f"free some, or set {CACHE} to a folder with room"
        )
