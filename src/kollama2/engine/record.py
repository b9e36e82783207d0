"""Records: the JSON objects that describe results (`done.json`, locks), read the same everywhere.

Unknown fields are passed over, because a newer kollama2 may have written more. What is asked for
and is not there is a fault of one sentence, which tells a newer file from a damaged one.
"""

import json
import re
from pathlib import Path
from typing import Any

from kollama2 import __version__
from kollama2.engine.commit import MANIFEST
from kollama2.errors import Corrupt, Fault, Missing, storage

DONE = "done.json"


class _Fields(dict[str, Any]):
    """An object of a record, however deep: a field that it lacks is a fault and no KeyError."""

    path = Path()

    def __missing__(self, name: str) -> Any:
        raise unreadable(self.path, f"has no field {name!r}")


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Asking it, or an object in it, for a field that is not there raises what `unreadable` gives.

    Raises:
        Corrupt: the file is not JSON, or holds no object.
        Denied, StorageTrouble: it cannot be read.
    """

    def told(fields: dict[str, Any]) -> _Fields:
        found = _Fields(fields)
        found.path = path
        return found

    with storage(path):
        content = path.read_bytes()
    try:
        value = json.loads(content, object_hook=told)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"is not JSON ({error})") from error
    if not isinstance(value, _Fields):
        raise unreadable(path, f"must hold a JSON object, not a {type(value).__name__}")
    return value


def unreadable(path: Path, how: str) -> Fault:
    """The fault of a file that cannot be understood, with what helps.

    Args:
        path: the file, of a finished stage or of a study.
        how: what it lacks, as the rest of a sentence that begins with its name.

    Returns:
        Missing, where a newer kollama2 wrote it; otherwise Corrupt.
    """
    writer = written_by(path)
    if writer is not None and _number(writer) > _number(__version__):
        return Missing(
            f"{path} was written by kollama2 {writer} and cannot be read by this kollama2 "
            f"{__version__}, for which it {how}; install {writer}, or name another store"
        )
    if (path.parent / MANIFEST).exists() or (path.parent / DONE).exists():
        # Its size may still fit, and then no command would find it unfinished.
        return Corrupt(f"{path} {how}; remove the folder {path.parent} and run the study again")
    return Corrupt(f"{path} {how}; move it away and run the study again")


def written_by(path: Path) -> str | None:
    """The version of the program that wrote a file: what it says itself, or the record beside it.

    None where neither can be read.
    """
    for place in (path, path.with_name(DONE)):
        try:
            return str(json.loads(place.read_bytes())["kollama2"])
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            continue  # it is only asked for the sake of a better sentence
    return None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
