"""Reading: what other libraries raise over files from outside, as one sentence with their place."""

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kollama2.errors import BadData, Fault, Missing, storage_fault

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 400
# Their texts are a name or a number, which says nothing without the kind of error.
_TERSE = (LookupError, AttributeError, TypeError, AssertionError, ArithmeticError)


@contextmanager
def reading(place: Path, verdict: str = "cannot be read") -> Iterator[None]:
    """Turn whatever is raised in the block into a fault about a file or folder.

    Only what reads files from outside belongs in the block: libraries raise any kind of error over
    them, and those written in Rust end in panics, which are no `Exception`.

    Args:
        place: the file or folder.
        verdict: what stands behind its name, before the reason.

    Raises:
        Missing: a package or the memory that it needs is not here.
        TryLater, Denied, StorageTrouble: as `errors.storage`.
        BadData: every other reason.
    """
    try:
        yield
    except BaseException as error:
        panic = type(error).__name__ == "PanicException"
        if isinstance(error, Fault | Warning) or not (panic or isinstance(error, Exception)):
            raise
        if type(error).__name__ == "OutOfMemoryError":
            raise  # of a GPU, whose user knows better what to do
        if fault := storage_fault(error, place):
            raise fault from error
        if isinstance(error, ImportError):
            raise Missing(f"{place} needs what is not installed here: {said(error)}") from error
        if isinstance(error, MemoryError):
            raise Missing(f"{place} needs more memory than there is") from error
        raise BadData(f"{place} {verdict}: {said(error)}") from error


def said(error: BaseException) -> str:
    """What an error says in one short line: the first of many mismatches, no colours."""
    text = _COLOURS.sub("", str(error))
    mismatches = [line for line in text.splitlines() if "size mismatch" in line]
    if mismatches:
        more = f" (and {len(mismatches) - 1} more)" if len(mismatches) > 1 else ""
        text = mismatches[0].strip().rstrip(".") + more
    text = textwrap.shorten(" ".join(text.split()), _LONGEST, placeholder=" …")
    if isinstance(error, _TERSE) or not text:
        return f"{type(error).__name__}: {text}".rstrip(": ")
    return text
