"""Errors of the operating system, said as faults."""

import errno
import os
from pathlib import Path

import pytest

from kollama2.errors import Denied, StorageTrouble, TryLater, storage, storage_fault, writable


@pytest.mark.parametrize(
    ("number", "fault", "words"),
    [
        (errno.ENOSPC, TryLater, "is full"),
        (errno.EDQUOT, TryLater, "is full"),
        (errno.EACCES, Denied, "permissions"),
        (errno.EROFS, StorageTrouble, "Read-only"),
        (errno.ENOENT, StorageTrouble, "No such file"),
    ],
)
def test_errors_of_storage_are_faults(number: int, fault: type[Exception], words: str) -> None:
    with pytest.raises(fault, match=words), storage(Path("store")):
        raise OSError(number, os.strerror(number))


def test_a_full_disk_is_seen_through_other_errors() -> None:
    error = RuntimeError("write failed")
    error.__cause__ = OSError(errno.ENOSPC, "no room")
    assert isinstance(storage_fault(error, Path()), TryLater)
    words = Exception("I/O error: No space left on device (os error 28)")
    assert isinstance(storage_fault(words, Path()), TryLater)
    assert storage_fault(ConnectionRefusedError(111, "refused"), Path()) is None
    assert storage_fault(RuntimeError("shape"), Path()) is None


def test_half_of_a_character_cannot_be_written() -> None:
    assert writable("한글 😀\0")
    assert not writable("half \ud800")
    assert not writable("\udcff")
