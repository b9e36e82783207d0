"""Faults: every error that a user can cause, each with one clear sentence and an exit code.

The codes are those of `sysexits.h`, so that a scheduler can tell "fix your data" from "try again".
A fault's message says what was wrong, with the value, and what to do; it never needs a traceback.
"""

import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from kollama2.locale import mark, say

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM})
_BROKEN = frozenset({errno.EROFS, errno.EIO, errno.ENAMETOOLONG, errno.ESTALE, errno.ENOTDIR})
_LONGEST = 400  # characters of a path that a message repeats
_REMEDIES = {
    errno.EROFS: mark("the disk is read-only, so choose a folder on another"),
    errno.ENAMETOOLONG: mark("choose a shorter one"),
    errno.EFBIG: mark("raise the limit (ulimit -f) or choose another disk"),
    errno.ENOTDIR: mark("a part of this path is a file, so correct it"),
    errno.EEXIST: mark("a folder is needed there, so correct the path"),
}
# Libraries written in Rust or C++ report such things in words only.
_TOO_LARGE_WORDS = re.compile(r"File too large|os error 27\b")
_FULL_WORDS = re.compile(r"No space left on device|os error 28\b|Disk quota exceeded")


class Fault(ValueError):
    """Something outside the program is wrong and the user can mend it."""

    exit_code: ClassVar[int] = 65


class BadUsage(Fault):
    """A command, a study or a recipe asks for something impossible (exit 64)."""

    exit_code = 64


class BadData(Fault):
    """An input file does not hold what it should (exit 65)."""

    exit_code = 65


class Missing(Fault):
    """Something that the request needs is missing (exit 69).

    A package, a device, a kernel, the hub, or the newer kollama2 that wrote a file.
    """

    exit_code = 69


class StorageTrouble(Fault):
    """A folder cannot be read or written, or a file-size limit was reached (exit 74)."""

    exit_code = 74


class TryLater(Fault):
    """Nothing is lost, and the same command continues later (exit 75).

    The disk is full, a source changed meanwhile, or SIGTERM or SIGHUP ended the process.
    """

    exit_code = 75


class Corrupt(Fault):
    """A stored file differs from its manifest or lacks a field (exit 76)."""

    exit_code = 76


class Denied(Fault):
    """Permission refused: a gated repository, an expired link, a missing token (exit 77)."""

    exit_code = 77


class Notice(UserWarning):
    """Something that a user should know and that stops nothing; the command line prints it."""


def first_line(error: BaseException) -> str:
    """What an error of another library says first; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """All that an error of another library says, without its line breaks."""
    return " ".join(str(error).split())


def storage_fault(error: BaseException, path: Path) -> Fault | None:
    """The fault that an error means which speaks of storage, or None for other errors.

    The whole chain of causes is searched, because libraries wrap the error that tells the reason.
    """
    link: BaseException | None = error
    while link is not None:
        number = link.errno if isinstance(link, OSError) else None
        if number in _FULL or _FULL_WORDS.search(str(link)):
            return TryLater(
                say(
                    "the disk of {path} is full; everything finished is kept: free some space and "
                    "give the same command again",
                    path=path,
                )
            )
        if number == errno.EFBIG or _TOO_LARGE_WORDS.search(str(link)):
            return _trouble(OSError(errno.EFBIG, "the file is too large"), path)
        if link is error and number in _REFUSED:
            return Denied(
                say(
                    "{path} may not be written or read; check its permissions",
                    path=_named(link, path),
                )
            )
        if link is error and number in _BROKEN:
            return _trouble(link, path)
        link = link.__cause__ or link.__context__
    return None


def _trouble(error: BaseException, path: Path) -> StorageTrouble:
    number, reason = error.args[:2] if isinstance(error, OSError) and error.strerror else (0, error)
    remedy = say(_REMEDIES.get(number, mark("check the path and its disk")))
    named = _named(error, path)
    return StorageTrouble(
        say("{path} cannot be written or read: {reason}; ", path=named, reason=reason) + remedy
    )


def _named(error: BaseException, path: Path) -> str:
    filename = error.filename if isinstance(error, OSError) else None
    name = os.fsdecode(filename) if isinstance(filename, (str, bytes)) else str(path)
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn errors of the operating system inside the block into faults about `path`.

    Raises:
        TryLater: the disk is full.
        Denied: the permissions of the folder forbid it.
        StorageTrouble: any other error of reading or writing.
    """
    try:
        yield
    except Fault:
        raise
    except Exception as error:  # libraries raise errors of their own while they handle such a one
        fault = storage_fault(error, path)
        if fault is None and isinstance(error, OSError):
            fault = _trouble(error, path)
        if fault is None:
            raise
        raise fault from error


def writable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible(text: str) -> str:
    """Text with its invisible dangers made visible: control, bidi and broken characters."""
    return "".join(_seen(one) for one in text) if not text.isprintable() else text


def _seen(one: str) -> str:
    kind = unicodedata.category(one)
    if one in "\n\t":
        return one
    if kind == "Cc":
        return chr(0x2400 + ord(one)) if ord(one) < 0x20 else "\ufffd"
    if kind == "Cs":
        return "\ufffd"
    # Format characters reorder or hide what follows, but joiners are part of emoji and scripts.
    if kind == "Cf" and one not in "\u200c\u200d":
        return f"⟨U+{ord(one):04X}⟩"
    return one
