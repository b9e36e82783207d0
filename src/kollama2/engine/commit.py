"""The commit primitive: a folder becomes a result whole or not at all, and proves later that it is.

Everything that is kept (a stage, a checkpoint, an export) is written beside its final name, brought
to the disk, listed with size and SHA-256 in `MANIFEST.json`, and renamed. A reader that finds the
final name finds all of it.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from kollama2.engine.identity import identity
from kollama2.engine.leftovers import LEFTOVER, leftovers, owner_of, remove
from kollama2.errors import Corrupt, Fault, StorageTrouble, storage
from kollama2.records.read import Json, newer, read

MANIFEST = "MANIFEST.json"


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Write a value as JSON so that readers see the old file or the new one, nothing between.

    Args:
        path: the file; its folder exists.
        value: what `json.dumps` takes; NaN and infinity are refused.
        durable: wait until it lies on the disk; False for what only a display reads.

    Raises:
        TryLater, Denied, StorageTrouble: as `storage`.
    """
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with storage(path):
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        if durable:
            sync_folder(path.parent)


def keep_json(path: Path, value: Json) -> None:
    """Write a value as JSON unless the file says it already, so that a store can be read-only.

    Args:
        path: the file; its folder is made if needed.
        value: an object, as for `write_json`, with text keys.

    Raises:
        TryLater, Denied, StorageTrouble: as `storage`.
    """
    try:
        if read(path, Json) == json.loads(json.dumps(value)):
            return
    except Fault:
        pass  # it is missing or damaged: then it is written, or that says what is wrong
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(sealed: Path, final: Path) -> None:
    """Rename a sealed folder to its final name, for good.

    Raises:
        StorageTrouble: `final` exists already; it is never overwritten.
        Denied, StorageTrouble: as `storage`.
    """
    with storage(final):
        _check_free(final)
        sealed.rename(final)
        sync_folder(final.parent)


def _check_free(final: Path) -> None:
    if final.exists() and not (final.is_dir() and next(final.iterdir(), None) is None):
        raise StorageTrouble(f"{final} exists already and is never overwritten; move it away")


def seal(partial: Path, leave: Path | None = None) -> None:
    """Bring a folder to the disk and write its manifest, after everything else.

    Every file gets the usual permissions, because some libraries write 0600.

    Args:
        partial: a folder of plain files and folders.
        leave: a folder inside that is neither listed nor touched; it must go before `move`.

    Raises:
        TryLater, Denied, StorageTrouble: as `storage`.
    """
    mask = _umask()
    with storage(partial):
        (partial / MANIFEST).unlink(missing_ok=True)
        folders = [partial, *(path for path in partial.rglob("*") if path.is_dir())]
        files: dict[str, dict[str, Any]] = {}
        for path in _files(partial):
            if leave in path.parents:
                continue
            assert path.is_file() and not path.is_symlink(), f"only plain files are kept: {path}"
            path.chmod(0o666 & ~mask)
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            files[path.relative_to(partial).as_posix()] = {
                "size": path.stat().st_size,
                "sha256": sha256(path),
            }
        with (partial / MANIFEST).open("wb") as manifest:
            manifest.write(_manifest_bytes(files))
            manifest.flush()
            os.fsync(manifest.fileno())
        for folder in folders:
            folder.chmod(0o777 & ~mask)
            sync_folder(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what `write_json` and `committing` leave in a folder when they are killed.

    The folder must be nobody else's, as that of a stage is which holds its lease.
    """
    with storage(folder):
        for path in sorted(folder.rglob(".*")):
            if LEFTOVER.fullmatch(path.name):
                remove(path)


@contextmanager
def committing(final: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `final` when the block ends without an error.

    What a killed process left of the same folder is removed first.

    Example:
        >>> with committing(folder / "checkpoint-10") as partial:
        ...     write_json(partial / "state.json", {"step": 10})

    Raises:
        TryLater, Denied, StorageTrouble: as `seal` and `move`; nothing is left behind.
    """
    whole = final.absolute()  # `.` has no name
    with storage(final):
        _check_free(final)
        whole.parent.mkdir(parents=True, exist_ok=True)
        for left in leftovers(whole.parent, whole.name):
            remove(left)
    partial = whole.with_name(f".{whole.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        with storage(final):
            owner_of(partial).write_text(json.dumps(identity()), encoding="utf-8")
            partial.mkdir()
        yield partial
        seal(partial)
        move(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            owner_of(partial).unlink(missing_ok=True)


def verify(folder: Path, full: bool = False, *, once: bool = False) -> None:
    """Check a finished folder against its manifest.

    Args:
        folder: what `move` made.
        full: read every file and compare its SHA-256; otherwise only names and sizes.
        once: do not read a file again that this process has read and nobody has touched since.

    Raises:
        Corrupt: a file is missing, added, of another size or (full) of another content.
        Denied, StorageTrouble: a file cannot be read.
    """
    expected, read = manifest(folder), sha256_once if once else sha256
    with storage(folder):
        found = {path.relative_to(folder).as_posix() for path in _files(folder)} - {MANIFEST}
        for name in sorted(expected.keys() | found):
            _compare(folder / name, expected.get(name), read if full else None)


def verified(path: Path) -> Path:
    """A file at the top of a finished folder, compared with what was written; nothing else is read.

    Raises:
        Corrupt: it is missing or of another content, or the manifest is damaged; says what to do.
        Denied, StorageTrouble: it cannot be read.
    """
    try:
        with storage(path):
            _compare(path, manifest(path.parent).get(path.name), sha256_once)
    except Corrupt as fault:
        raise Corrupt(
            f"{fault}; remove the folder {path.parent} and run the study again"
        ) from fault
    return path


def _compare(
    path: Path, wanted: Mapping[str, Any] | None, read: Callable[[Path], str] | None
) -> None:
    if wanted is None:
        raise Corrupt(f"{path} was added after the folder was finished")
    if not os.path.lexists(path):
        raise Corrupt(f"{path} is missing though the manifest lists it")
    if path.is_symlink() or path.stat().st_size != wanted["size"]:
        raise Corrupt(f"{path} does not have the {wanted['size']} bytes it was made with")
    if read is not None and read(path) != wanted["sha256"]:
        raise Corrupt(f"{path} differs from what was written: its SHA-256 has changed")


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Name to `{"size", "sha256"}` of every file of a finished folder.

    Raises:
        Corrupt: there is no manifest or it was changed.
        Missing: a newer kollama2 wrote it, in another form.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise Corrupt(f"{folder} has no {MANIFEST}: it is unfinished or damaged")
    with storage(path):
        content = path.read_bytes()
    try:
        files = json.loads(content)["files"]
        whole = _manifest_bytes(files) == content
    except (ValueError, KeyError, TypeError) as error:
        raise newer(path, "is damaged") or Corrupt(f"{path} is damaged: {error}") from error
    if not whole:
        raise newer(path, "is damaged") or Corrupt(
            f"{path} is damaged: its own checksum does not fit"
        )
    return dict(files)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


_hashed: dict[tuple[int, ...], str] = {}
_TICK_NS = 1_000_000_000  # two changes within a tick of a file system's clock look like one


def sha256_once(path: Path) -> str:
    """The same, without reading again what this process has read and nobody has touched since."""
    stat = path.stat()
    known_by = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if known_by in _hashed:
        return _hashed[known_by]
    settled, found = time.time_ns() - stat.st_ctime_ns > _TICK_NS, sha256(path)
    if settled:
        _hashed[known_by] = found
    return found


def _manifest_bytes(files: dict[str, dict[str, Any]]) -> bytes:
    """One fixed spelling, with a checksum of itself, so that any changed bit is found."""
    body = json.dumps(files, sort_keys=True, ensure_ascii=False, allow_nan=False)
    check = hashlib.sha256(body.encode()).hexdigest()
    whole = {"files": files, "sha256": check}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def _files(folder: Path) -> list[Path]:
    """Everything below a folder that is not a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


@cache
def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
