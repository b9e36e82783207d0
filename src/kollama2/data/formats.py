"""File formats: physical rows out of JSON, JSONL, CSV, TSV, Parquet and plain text.

Every function yields a `Row` or a `Reject` for each physical row, so that nothing is lost unseen.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kollama2.data.decode import BLANK, Decoder, check_end, said
from kollama2.data.documents import read_documents
from kollama2.data.lines import (
    Reject,
    Row,
    Unreadable,
    open_bytes,
    read_lines,
    sample_of,
    suffixes,
    too_long,
    what_is,
)
from kollama2.data.tables import read_table
from kollama2.errors import BadData, StorageTrouble, one_line

_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".md": "markdown",
    ".mdx": "markdown",
    ".markdown": "markdown",
}
_SNIFF_BYTES = 1 << 16
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
# Text of no UTF-8; a date or a time out of Python's range.
_BAD_CELLS = (UnicodeDecodeError, OverflowError, ValueError)
_LIST_OF_DATA = re.compile(rb'^\s*\{[^\[{]*"data"\s*:\s*\[\s*[\[{]')
_OPENS_DATA = re.compile(r'\{[^\[{]*"data"\s*:\s*\[')
_FOREIGN = {
    b"\xff\xfe\0\0": "UTF-32 text; convert it with: iconv -f UTF-32 -t UTF-8",
    b"\xff\xfe": "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8",
    b"PK\x03\x04": "a ZIP archive (or an Excel sheet); unpack it or save it as CSV",
    b"%PDF": "a PDF; extract its text first",
    b"\x80\x04": "a pickle, which is never read; save it as JSONL or Parquet",
    b"<!DOC": "a web page, not data; download the file itself",
    b"<html": "a web page, not data; download the file itself",
}


def sniff(path: Path) -> str:
    """Return the format of a file, by its name and its first bytes.

    It is one of json, jsonl, csv, tsv, parquet, wiki, markdown, paragraphs, lines.

    Raises:
        BadData: the file is missing, empty, or of a kind that holds no rows.
    """
    suffix, packed = suffixes(path)
    try:
        with open_bytes(path) as stream:
            head = stream.read(_SNIFF_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        kind = packed or "plain"
        raise BadData(f"{path} is not a readable {kind} file: {one_line(error)}") from error
    if not head:
        raise BadData(f"{path} is empty; give a file with at least one row")
    # A first line that looks foreign says nothing where the lines after it are rows.
    if not any(map(_is_object, head.split(b"\n")[1:20])):
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise BadData(f"{path} is {what}")
        if head.startswith(b"PAR1"):
            return "parquet"
    head = head.removeprefix(b"\xef\xbb\xbf")
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if not head.strip():
        raise BadData(f"{path} holds nothing but white space; give a file with at least one row")
    kind = _sniff_text(head, suffix)
    odd = len(head) - len(head.translate(None, _CONTROL))
    if kind in {"lines", "paragraphs", "tsv"} and odd * 50 > len(head):
        raise BadData(
            f"{path} is a binary file of no known format; give JSON, JSONL, CSV, TSV, Parquet, "
            "Markdown or plain text"
        )
    return kind


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _sniff_text(head: bytes, suffix: str) -> str:
    start = head.lstrip()
    lines = start.split(b"\n")
    if suffix in {".jsonl", ".ndjson"}:
        # A JSON list with the wrong name has no line that stands alone.
        alone = start[:1] != b"[" or any(map(_is_object, lines[:20]))
        return "jsonl" if alone else "json"
    if start.startswith(b"<doc "):
        return "wiki"
    if start[:1] == b"{":
        if len(lines) == 1 and _LIST_OF_DATA.search(head):
            return "json"
        # A first line that the window cuts is a long JSON line, not a JSON file.
        cut = len(lines) == 1 and len(head) == _SNIFF_BYTES
        return "jsonl" if cut or _is_object(lines[0]) else "json"
    if suffix == ".json" or re.match(rb"\[\s*[\[{\]]", start):
        return "json"
    whole = [line for line in lines[:-1][:50] or lines if line.strip()]
    if len({line.count(b"\t") for line in whole}) == 1 and b"\t" in whole[0]:
        return "tsv"
    return "paragraphs" if re.search(rb"\n\s*\n", start.rstrip()) else "lines"


def read_rows(
    path: Path, kind: str, is_header: Callable[[list[str]], bool]
) -> Iterator[Row | Reject]:
    """Yield the physical rows of a file of a format that `sniff` knows.

    A row's line is its first line in the file, or its number where a format has no lines (Parquet,
    a JSON object that holds the list).

    Raises:
        BadData: a JSON file that cannot be parsed, with line and column; a broken Parquet file.
    """
    if kind == "parquet":
        return read_parquet(path)
    if kind == "json":
        return read_json(path)
    lines = read_lines(path)

    def names(cells: list[str]) -> bool:
        if is_header(cells):
            check_columns([cell.strip() for cell in cells], path)
            return True
        return False

    if kind == "jsonl":
        return read_jsonl(lines)
    if kind in {"csv", "tsv"}:
        return read_table(lines, "," if kind == "csv" else "\t", names)
    return read_documents(lines, kind)


def check_columns(names: Sequence[str], path: Path) -> None:
    """Refuse two columns of one name, of which a row could only keep one.

    Raises:
        BadData: there are such; those without a name are not asked for and do not count.
    """
    for name, times in Counter(names).items():
        if name and times > 1:
            raise BadData(f'{path} has {times} columns "{name}"; rename or remove all but one')


def read_jsonl(lines: Iterable[Row | Reject]) -> Iterator[Row | Reject]:
    """Parse one JSON object a line; blank lines are no rows."""
    decoder = Decoder()
    for line in lines:
        if isinstance(line, Reject):
            yield line
        elif line.value.strip():
            try:
                value = decoder.whole(line.value)
            except json.JSONDecodeError as error:
                reason = f"not JSON: {said(error)} at column {error.colno}"
                yield Reject(line.line, reason, sample_of(line.value))
            else:
                yield _object(line.line, value, decoder.trouble)


def _object(line: int, value: Any, trouble: str = "") -> Row | Reject:
    if isinstance(value, dict) and not trouble:
        return Row(line, value)
    reason = trouble or f"{what_is(value)} where an object was expected"
    return Reject(line, reason, sample_of(value))


def read_json(path: Path) -> Iterator[Row | Reject]:
    """Yield the elements of a JSON list, or of the list under "data" in a JSON object.

    A value that cannot be held (nested too deeply, a name twice) costs the element that holds it.
    Bytes that are not UTF-8 become lone surrogates, so they cost the element that holds them.
    """
    try:
        with open_bytes(path) as stream:
            text = stream.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except (EOFError, OSError, zlib.error) as error:
        raise BadData(f"{path} is cut off or damaged: {one_line(error)}") from error
    start, decoder = len(text) - len(text.lstrip()), Decoder()
    try:
        if text[start : start + 1] == "[":
            end = yield from _list_elements(text, start, decoder)
            check_end(text, end)
            return
        root = decoder.whole(text)
        if decoder.trouble and (opened := _OPENS_DATA.match(text, start)):
            # What makes one element unreadable costs that element, and not all of them.
            end = yield from _list_elements(text, opened.end() - 1, decoder)
            blank = re.sub(r"[^\n]", " ", text[opened.end() : end - 1])
            decoder.whole(text[: opened.end()] + blank + text[end - 1 :])
            if not decoder.trouble:
                return
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadData(
            f"{path} is not valid JSON: {said(error)} at {where}; mend it there, or write one "
            "object a line (JSONL), where a bad line costs only itself"
        ) from error
    if decoder.trouble:
        raise BadData(
            f"{path} {decoder.trouble}; mend it, or write one object a line (JSONL), where a bad "
            "line costs only itself"
        )
    data = root.get("data") if isinstance(root, dict) else None
    if not isinstance(data, list):
        keys = ", ".join(list(root)[:8]) if isinstance(root, dict) else type(root).__name__
        raise BadData(f'{path} holds no list of rows (found {keys}); give a list or {{"data": []}}')
    for number, value in enumerate(data, 1):
        yield _object(number, value)


def _list_elements(text: str, start: int, decoder: Decoder) -> Generator[Row | Reject, None, int]:
    """Yield the elements of a list one by one, and return where it ends.

    Every row then knows its line, and only one is held at a time.
    """
    blank = re.compile(f"[{BLANK}]*")
    line, counted = 1, 0

    def skip(position: int) -> int:
        match = blank.match(text, position)
        assert match is not None, "the pattern matches the empty string"
        return match.end()

    position = skip(start + 1)
    if text[position : position + 1] == "]":
        return position + 1
    while True:
        line += text.count("\n", counted, position)
        counted = position
        value, position = decoder.value(text, position)
        if reason := too_long(text[counted:position]):
            yield Reject(line, reason, sample_of(text[counted : counted + 200]))
        else:
            yield _object(line, value, decoder.trouble)
        position = skip(position)
        mark = text[position : position + 1]
        if mark == "]":
            return position + 1
        if mark != ",":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
        position = skip(position + 1)


def read_parquet(path: Path) -> Iterator[Row | Reject]:
    """Yield the rows of a Parquet file batch by batch.

    All objects in a column have all fields there; those that are null in one are taken as absent.
    """
    import pyarrow
    from pyarrow import parquet, types

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            check_columns(file.schema_arrow.names, path)
            nested = [field.name for field in file.schema_arrow if types.is_nested(field.type)]
            for batch in file.iter_batches(batch_size=1024):
                try:
                    values = batch.to_pylist()
                except _BAD_CELLS:
                    values = [_row_or_error(batch.slice(i, 1)) for i in range(batch.num_rows)]
                for value in values:
                    number += 1
                    if isinstance(value, str):
                        yield Reject(number, value, "")
                    else:
                        value.update({key: _present(value[key]) for key in nested})
                        yield Row(number, value)
    except pyarrow.ArrowException as error:
        raise BadData(f"{path} is not a sound Parquet file: {one_line(error)}") from error
    except OSError as error:
        what = f"{path} cannot be read after row {number}: {one_line(error)}"
        # Only an error of the disk has a number; damaged pages have none.
        raise (StorageTrouble if error.errno else BadData)(what) from error


def _present(value: Any) -> Any:
    """A value without the fields of objects in it that are null."""
    if isinstance(value, dict):
        return {key: _present(one) for key, one in value.items() if one is not None}
    return [_present(one) for one in value] if isinstance(value, list) else value


def _row_or_error(batch: Any) -> dict[str, Any] | str:
    found: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            found[name] = column.to_pylist()[0]
        except UnicodeDecodeError:
            return "not UTF-8"
        except _BAD_CELLS:
            found[name] = Unreadable(str(column.type))  # costs the row where the cell is used
    return found
