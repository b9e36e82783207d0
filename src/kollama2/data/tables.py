"""CSV and TSV as rows: quoted cells may hold newlines, and an unclosed quote costs one line.

A file whose every line splits into the same number of tabs is taken without quoting, as the text
form of tab-separated values has none: there a quotation mark is content. Only where nearly all
cells with a mark are quoted whole, and some hold a doubled one or all are, has a program done it.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from kollama2.data.lines import MAX_LINE, Reject, Row, sample_of

# A quoted cell runs over at most this many lines; a quote that is never closed then costs its
# own line instead of the rest of the file.
RECORD_LINES = 1000
_LOOK_AHEAD = 1000
_NEARLY = 0.8
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_table(
    lines: Iterable[Row | Reject], delimiter: str, is_header: Callable[[list[str]], bool]
) -> Iterator[Row | Reject]:
    """Yield the records as objects; without a header the columns are called "0", "1", ….

    Args:
        lines: the lines of one file.
        delimiter: `,` or a tab.
        is_header: says of the first record whether it names the columns.
    """
    source = iter(lines)
    waiting = deque[Row | Reject]()
    while len(waiting) < _LOOK_AHEAD and (line := next(source, None)) is not None:
        waiting.append(line)
    quoted = delimiter == "," or not _regular(waiting) or _is_quoted(waiting)
    columns: list[str] | None = None
    header = list[str]()
    for record in _records(waiting, source, delimiter, quoted):
        if isinstance(record, Reject):
            yield record
            continue
        cells: list[str] = record.value
        if columns is None:
            if is_header(cells):
                columns, header = [cell.strip() for cell in cells], cells
                continue
            columns = [str(i) for i in range(len(cells))]
        if cells == header:  # of files that were joined
            reason = "repeats the names of the columns"
        elif len(cells) != len(columns):
            reason = f"{len(cells)} cells where {len(columns)} were expected"
        else:
            yield Row(record.line, dict(zip(columns, cells, strict=True)))
            continue
        yield Reject(record.line, reason, sample_of(delimiter.join(cells)))


def _regular(lines: Iterable[Row | Reject]) -> bool:
    tabs = {one.value.count("\t") for one in lines if isinstance(one, Row) and one.value}
    return len(tabs) == 1 and tabs != {0}


def _is_quoted(lines: Iterable[Row | Reject]) -> bool:
    cells = [cell for one in lines if isinstance(one, Row) for cell in one.value.split("\t")]
    marked = [cell for cell in cells if '"' in cell]
    whole = [cell for cell in marked if _QUOTED.fullmatch(cell)]
    return len(whole) > _NEARLY * len(marked) and (
        any('""' in cell[1:-1] for cell in whole) or len(whole) > _NEARLY * len(cells)
    )


def _records(
    waiting: deque[Row | Reject], source: Iterator[Row | Reject], delimiter: str, quoted: bool
) -> Iterator[Row | Reject]:
    def following() -> Row | Reject | None:
        return waiting.popleft() if waiting else next(source, None)

    while (first := following()) is not None:
        if isinstance(first, Reject):
            yield first
            continue
        if not first.value.strip(" "):
            continue
        if "\r" in first.value and '"' not in first.value:  # where old Macs end a line
            reason = "holds a carriage return outside quotes; end each line with a line feed"
            yield Reject(first.line, reason, sample_of(first.value))
            continue
        if not quoted or '"' not in first.value:
            yield Row(first.line, first.value.split(delimiter))
            continue
        taken, text = list[Row | Reject](), first.value
        cells = _parse(text, delimiter)
        while cells == [] and len(taken) < RECORD_LINES:
            line = following()
            if line is None:
                break
            taken.append(line)
            if isinstance(line, Reject) or len(text) + len(line.value) > MAX_LINE:
                break
            text += "\n" + line.value
            if '"' in line.value:
                cells = _parse(text, delimiter)
        if cells:
            yield Row(first.line, cells)
        else:
            waiting.extendleft(reversed(taken))
            yield Reject(
                first.line,
                "a quoted cell is not closed" if cells == [] else "broken quoting",
                sample_of(first.value),
            )


def _parse(text: str, delimiter: str) -> list[str] | None:
    """Return the cells of a record, none while a quote is open, None where quoting is broken."""
    csv.field_size_limit(MAX_LINE)
    lines = [line + "\n" for line in text.split("\n")]
    try:
        parsed = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return [] if "end of data" in str(error) else None
    return parsed[0] if len(parsed) == 1 else None
