"""Byte lines: a file as lines of text in which one bad line costs exactly that line.

Lines end at the byte 0x0A and nowhere else: U+2028, U+0085 and a lone carriage return are content.
"""

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from kollama2.errors import BadData, Denied, StorageTrouble

MAX_LINE = 16 << 20  # bytes
SAMPLE_CHARACTERS = 120
_SKIP_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One physical row: `line` counts from 1; `value` is its text or its parsed object."""

    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class Reject:
    """One physical row that cannot be used, why, and how it begins."""

    line: int
    reason: str
    sample: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell whose value Python cannot hold, such as a date before the year 1, and its type."""

    type: str


def too_long(text: str) -> str:
    """Why a text cannot be used that has more bytes than a line may have; "" if it has not."""
    size = len(text)
    if 4 * size > MAX_LINE and (size > MAX_LINE or len(text.encode(errors="replace")) > MAX_LINE):
        return f"longer than {MAX_LINE} bytes"
    return ""


def sample_of(value: object) -> str:
    """Return the beginning of a value as one printable line."""
    try:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    except RecursionError:
        text = "…"
    text = text[:SAMPLE_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def what_is(value: object) -> str:
    """What a value is called before people: "a number", "a list"."""
    if value is None:
        return "null"
    if isinstance(value, Unreadable):
        return f"a {value.type} out of range"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text",
             list: "a list", dict: "an object", bytes: "bytes"}  # fmt: skip
    return names.get(type(value), f"a {type(value).__name__}")


def suffixes(path: Path) -> tuple[str, str]:
    """Return the suffix that names the format and the one of the compression, lower case."""
    packed = path.suffix.lower() if path.suffix.lower() in {".gz", ".zst"} else ""
    return (path.with_suffix("") if packed else path).suffix.lower(), packed


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading bytes; `.gz` and `.zst` are unpacked on the way.

    Raises:
        BadData: there is no such file, or it is a pipe, a socket or a device.
        Denied: the file may not be read.
        StorageTrouble: the disk refuses.
    """
    try:
        check_regular(path)
        packed = suffixes(path)[1]
        if packed == ".gz":
            return cast(BinaryIO, gzip.open(path))
        if packed == ".zst":
            import pyarrow

            stream = pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")
            return cast(BinaryIO, io.BufferedReader(stream))
        return path.open("rb")
    except FileNotFoundError:
        raise BadData(f"there is no file {path}; check the path") from None
    except PermissionError:
        raise Denied(f"{path} may not be read by this user; change its permissions") from None
    except OSError as error:
        raise StorageTrouble(f"{path} cannot be read: {error.strerror or error}") from error


def check_regular(path: Path) -> None:
    """Refuse what gives its bytes once or without end; data are read more than once.

    Raises:
        BadData: it is a pipe, a socket or a device.
        OSError: there is nothing.
    """
    mode = path.stat().st_mode
    special = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
               stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}  # fmt: skip
    if kind := special.get(stat.S_IFMT(mode)):
        raise BadData(f"{path} is {kind}, which cannot be read twice; save what it gives as a file")


def _raw_lines(stream: BinaryIO) -> Iterator[bytes | str]:
    """Yield each line's bytes without its end, or the reason why a line is not usable."""
    while True:
        try:
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            ended = line.endswith(b"\n")
            while not ended and len(line) > MAX_LINE:
                rest = stream.readline(_SKIP_BYTES)
                ended = not rest or rest.endswith(b"\n")
                if ended:
                    yield f"longer than {MAX_LINE} bytes"
        except (EOFError, zlib.error, OSError):
            yield "the file is cut off or damaged from here on"
            return
        if len(line) <= MAX_LINE or line.endswith(b"\n"):
            yield line.removesuffix(b"\n").removesuffix(b"\r")


def read_lines(path: Path) -> Iterator[Row | Reject]:
    """Yield every line of a file in order, as its text (`Row`) or with what is wrong (`Reject`).

    Args:
        path: the file; `.gz` and `.zst` are unpacked. Memory stays below a few times `MAX_LINE`.
    """
    with open_bytes(path) as stream:
        for number, raw in enumerate(_raw_lines(stream), 1):
            if isinstance(raw, str):
                yield Reject(number, raw, "")
                continue
            line = raw.removeprefix(_BOM)  # also where files were joined end to end
            if b"\0" in line:
                yield Reject(number, "holds a NUL byte", sample_of(line))
                continue
            try:
                yield Row(number, line.decode("utf-8"))
            except UnicodeDecodeError as error:
                reason = f"not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1})"
                yield Reject(number, reason, sample_of(line))
