"""Hashes of what lies outside the store, remembered by path, size, inode and times of change."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kollama2.engine.commit import keep_json, sha256_once
from kollama2.errors import Denied, Fault, StorageTrouble, TryLater
from kollama2.records.read import Json, read

FILE = "hashes.json"
_SHA256 = re.compile("[0-9a-f]{64}")


class Hashes:
    """SHA-256 of files and folders; a file that nobody has touched is read once.

    Args:
        cache: file that remembers; none of its own where it is missing, cut or no cache of ours.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known = _remembered(cache)

    def of(self, place: Path) -> str:
        """Of a file, or of a folder by the names and contents of all its files.

        Raises:
            FileNotFoundError: the folder holds none.
        """
        if place.is_file():
            return self._file(place)
        files = sorted(file for file in _below(place) if file.is_file())
        if not files:
            raise FileNotFoundError(f"the folder {place} is empty")
        whole = hashlib.sha256()
        for file in files:
            relative = file.relative_to(place).as_posix()
            whole.update(f"{relative}\0{self._file(file)}\n".encode())
        return whole.hexdigest()

    def of_pair(self, first: Path, second: Path) -> tuple[str, bool]:
        """Of two files that are one source, and whether it was known before."""
        name = f"aligned\0{self._file(first)}\0{self._file(second)}"
        known = name in self._known
        return self._keep(name, hashlib.sha256(name.encode()).hexdigest()), known

    def save(self) -> None:
        """Remember the hashes, so that the next start does not read large files again.

        Where nothing may be written they are computed again each time; no answer depends on them.
        """
        with suppress(Denied, StorageTrouble, TryLater):
            keep_json(self._cache, self._known)

    def _file(self, file: Path) -> str:
        stat = file.stat()
        # The time of the last write can be set back; ctime and inode cannot.
        known_by = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        name = "\0".join([str(file.resolve()), *map(str, known_by)])
        return self._keep(name, self._known.get(name) or sha256_once(file))

    def _keep(self, name: str, found: str) -> str:
        self._known[name] = found
        return found


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder; `rglob` would pass over folders that may not be read."""

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def _remembered(cache: Path) -> dict[str, str]:
    try:
        found = read(cache, Json)
    except Fault:
        return {}
    return {name: one for name, one in found.items() if _SHA256.fullmatch(str(one))}
