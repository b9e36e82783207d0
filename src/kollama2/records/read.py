"""Reads a record, or says in one sentence why it cannot be read: damaged, or of a newer version."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from kollama2 import __version__
from kollama2.errors import Corrupt, Fault, Missing, storage

DONE = "done.json"
Json = dict[str, Any]
T = TypeVar("T")

# JSON has no number that is not finite: such a one is written as null.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class Record(BaseModel):
    """An object of a record; fields that it does not declare are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def plain(self) -> Json:
        """What is to be written: the fields that were given, in the declared order."""
        return self.model_dump(exclude_unset=True)


def read(path: Path, kind: type[T]) -> T:
    """What a JSON file holds.

    Args:
        path: the file.
        kind: a model of this package; `Json` for an object that nothing is known of.

    Raises:
        Corrupt, Missing: as `unreadable`.
        Denied, StorageTrouble: it cannot be read.
    """
    with storage(path):
        content = path.read_bytes()
    return _validated(path, TypeAdapter(kind).validate_json, content)


def part(path: Path, value: Json, kind: type[T]) -> T:
    """A part of the record that was read from a file, such as the metrics of a stage.

    Raises:
        Corrupt, Missing: as `unreadable`.
    """
    return _validated(path, TypeAdapter(kind).validate_python, value)


def _validated(path: Path, validate: Callable[[Any], T], value: object) -> T:
    try:
        return validate(value)
    except ValidationError as error:
        raise unreadable(path, _how(error)) from error


def _how(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        return f"is not JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
    if not where:
        said = first["msg"].removeprefix("Value error, ")
        return said if first["type"] == "value_error" else "must hold a JSON object"
    if first["type"] == "missing":
        return f"has no field {where!r}"
    return f"has {where!r} as it should not be ({first['msg']})"


def read_lines(path: Path) -> Iterator[Json]:
    """Yield the JSON objects of a file that has one a line.

    Raises:
        Corrupt, Missing: a line is no JSON object, or the file is not there.
    """
    if not path.is_file():
        raise unreadable(path, "is missing from a finished stage")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise unreadable(path, f"is not JSON in line {number} ({error})") from error
            if not isinstance(value, dict):
                raise unreadable(path, f"has no JSON object in line {number}")
            yield value


def unreadable(path: Path, how: str) -> Fault:
    """The fault of a file that cannot be understood, with what helps.

    Args:
        path: the file, of a finished stage or of a study.
        how: what it lacks, as the rest of a sentence that begins with its name.

    Returns:
        Missing, where a newer kollama2 wrote it; otherwise Corrupt.
    """
    return newer(path, how) or damaged(path, how)


def newer(path: Path, how: str) -> Missing | None:
    """The fault of a file that a newer kollama2 wrote; None for any other."""
    return of_newer(str(path), written_by(path), how)


def of_newer(name: str, writer: str | None, how: str) -> Missing | None:
    """The same, of something by this name that says itself who wrote it."""
    if writer is None or _number(writer) <= _number(__version__):
        return None
    return Missing(
        f"{name} was written by kollama2 {writer} and cannot be read by this kollama2 "
        f"{__version__}, for which it {how}; install {writer}, or name another store"
    )


def damaged(path: Path, how: str) -> Corrupt:
    """The fault of a file that is not what was written, with what helps."""
    if path.with_name(DONE).exists():
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
