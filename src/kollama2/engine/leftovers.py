"""Leftovers: what killed processes leave beside the results that they did not finish."""

import json
import re
import shutil
import time
from pathlib import Path

from kollama2.engine.identity import alive

LEFTOVER = re.compile(r"\..+\.(partial-[0-9a-f]{8}(\.owner)?|[0-9a-f]{32})")
_OWNER = ".owner"
_LEFT_SECONDS = 3600.0  # after which what names no owner belongs to nobody


def leftovers(folder: Path, name: str = "") -> list[Path]:
    """What killed processes left directly in a folder, beside the results they did not finish.

    What a living process works on, or one on another machine, is not among it.

    Args:
        folder: where to look; one that is not there holds nothing.
        name: only of the result of this name.
    """
    start = f".{name}." if name else "."
    return [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.name.startswith(start) and LEFTOVER.fullmatch(path.name) and _is_left(path)
    ]


def remove(path: Path) -> None:
    """Remove a leftover, and what says whose it was."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    owner_of(path).unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    if path.suffix == _OWNER and path.with_suffix("").exists():
        return False  # it goes with the folder that it is about
    owner = path if path.suffix == _OWNER else owner_of(path)
    try:
        return alive(json.loads(owner.read_bytes())) is False
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a single file has no owner, and one that is being written cannot be read
    try:
        return time.time() - path.lstat().st_mtime > _LEFT_SECONDS
    except FileNotFoundError:
        return False


def owner_of(partial: Path) -> Path:
    """The file beside an unfinished folder that says whose it is."""
    return partial.with_name(partial.name + _OWNER)
