"""Reading: any file or folder of training data as examples and rejects, nothing lost unseen."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, islice, zip_longest
from pathlib import Path

from kollama2.data.formats import read_rows, sniff
from kollama2.data.forms import Example, detect, form_of, names_columns
from kollama2.data.lines import Reject, Row, read_lines
from kollama2.data.normalise import Normaliser
from kollama2.errors import BadData

__all__ = ["Example", "Reading", "Reject", "read"]
SKIPPED = "_SOURCE.txt"
# What stands beside the data of a repository.
_ABOUT = ("README", "LICENSE", "dataset_info")
_MARKDOWN = {".md", ".mdx", ".markdown"}
_DETECT_ROWS = 50
_CONVERT = "; if it is Korean text in CP949, convert it with: iconv -f CP949 -t UTF-8"


class Reading:
    """One pass over a file or a folder: iterate it once for its `Example`s and `Reject`s.

    Attributes:
        counts: in, kept, rejected (in = kept + rejected) and what was changed, by its name.
        reasons: rejected rows by reason.
        unused: rows that say something in a column that is not read, by column.
        kinds: the (format, form) of each file read so far.
    """

    def __init__(
        self, path: Path, form: str | None = None, columns: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.counts: Counter[str] = Counter({"in": 0, "kept": 0, "rejected": 0})
        self.reasons: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, str]] = Counter()
        self._form = form_of(form, columns)
        self._columns = columns

    def __iter__(self) -> Iterator[Example | Reject]:
        for file, name in self._files():
            for one in self._read_file(file, name):
                self.counts["in"] += 1
                if isinstance(one, Reject):
                    self.counts["rejected"] += 1
                    self.reasons[one.reason] += 1
                else:
                    self.counts["kept"] += 1
                yield one
        if not self.counts["kept"]:
            raise BadData(self._nothing_usable())

    def _nothing_usable(self) -> str:
        why = "; ".join(f"{count} x {reason}" for reason, count in self.reasons.most_common(3))
        hint = _CONVERT if any(map(_is_foreign, self.reasons)) else ""
        return f"{self.path}: 0 of {self.counts['in']} rows are usable ({why or 'no rows'}){hint}"

    def _files(self) -> list[tuple[Path, str]]:
        if self.path.is_dir():
            names = sorted(file.relative_to(self.path) for file in self.path.rglob("*"))
            files = [
                self.path / name
                for name in names
                if name.name != SKIPPED
                and not any(part[0] == "." for part in name.parts)
                and not (self.path / name).is_dir()
            ]
            # Among pages of Markdown a README is one of them.
            if any(file.suffix.lower() not in _MARKDOWN for file in files):
                files = [file for file in files if not file.name.startswith(_ABOUT)]
            if not files:
                raise BadData(f"the folder {self.path} holds no files to read")
            return [(file, file.relative_to(self.path).as_posix()) for file in files]
        return [(self.path, self.path.name)]

    def _read_file(self, file: Path, name: str) -> Iterator[Example | Reject]:
        sides = aligned_files(file, self._form)
        if sides:
            kind, rows = "lines", _pair_lines(*sides)
        else:
            kind = sniff(file)
            rows = read_rows(file, kind, self._is_header)
        first = list(islice(rows, _DETECT_ROWS))
        values = [row.value for row in first if isinstance(row, Row)]
        form, columns = self._form, self._columns
        try:
            if form is None and values:
                form, columns = detect(values, str(file))
            self._check_columns(values, file)
        except BadData as error:
            bad = sum(isinstance(one, Reject) and _is_foreign(one.reason) for one in first)
            raise BadData(f"{file}: {bad} of the first {len(first)} rows are not UTF-8{_CONVERT}"
                          if bad else str(error)) from None  # fmt: skip
        self.kinds[kind, form or "text"] += 1
        normaliser = Normaliser(form or "text", name, columns, self.counts, self.unused)
        for row in chain(first, rows):
            if isinstance(row, Reject):
                yield Reject(row.line, row.reason, row.sample, name)
            else:
                yield normaliser.example(row)

    def _is_header(self, cells: list[str]) -> bool:
        if self._columns:
            return not {cell.strip() for cell in cells}.isdisjoint(self._columns.values())
        return names_columns(cells)

    def _check_columns(self, values: list[object], file: Path) -> None:
        rows = [value for value in values if isinstance(value, dict)]
        for column in (self._columns or {}).values():
            if rows and not any(column in row for row in rows):
                found = ", ".join(str(key) for key in list(rows[0])[:12])
                raise BadData(f"{file} has no column {column!r}; it has {found}")


def _is_foreign(reason: str) -> bool:
    return reason.startswith("not UTF-8")


def aligned_files(file: Path, form: str | None) -> tuple[Path, Path] | None:
    """Return `x.en` and `x.ko` where `file` is `x`, or one of them read as pairs."""
    stem = file.with_suffix("") if file.suffix in {".en", ".ko"} and form == "pairs" else file
    english, korean = Path(f"{stem}.en"), Path(f"{stem}.ko")
    if (stem == file and file.exists()) or not (english.is_file() and korean.is_file()):
        return None
    return english, korean


def _pair_lines(english: Path, korean: Path) -> Iterator[Row | Reject]:
    sides = zip_longest(read_lines(english), read_lines(korean))
    for number, (left, right) in enumerate(sides, 1):
        if left is None or right is None:
            more = sum(1 for _ in chain([left or right], sides))
            raise _unaligned(english, korean, number - 1, number - 1 + more)
        if isinstance(left, Reject):
            yield left
        elif isinstance(right, Reject):
            yield right
        else:
            yield Row(number, {"en": left.value, "ko": right.value})


def check_aligned(english: Path, korean: Path) -> None:
    """Refuse two files that are not of as many lines.

    Raises:
        BadData: says how many lines each has.
    """
    short, long = sorted(sum(1 for _ in read_lines(side)) for side in (english, korean))
    if short != long:
        raise _unaligned(english, korean, short, long)


def _unaligned(english: Path, korean: Path, short: int, long: int) -> BadData:
    return BadData(
        f"{english} and {korean} are not aligned: {short} lines in the shorter, {long} in the "
        "longer; both need one line for each pair"
    )


def read(
    path: str | Path, form: str | None = None, columns: Mapping[str, str] | None = None
) -> Reading:
    """Read a file, a folder or two aligned files (`x` for `x.en` and `x.ko`) of training data.

    Args:
        path: JSON, JSONL, CSV, TSV, Parquet, Markdown or plain text, also packed (.gz, .zst);
            of a folder every file in the order of names, except `_SOURCE.txt` and hidden ones.
        form: one of `forms.FORMS`; found from the first rows where it is None.
        columns: which column plays which role, `{"instruction": "질문", "output": "답"}`.

    Returns:
        An iterable of `Example` and `Reject` that counts what it sees.

    Raises:
        BadUsage: an unknown form or role.
        BadData: while iterating: a missing, empty or foreign file, broken JSON, no known form,
            or no usable row at all.
    """
    return Reading(Path(path), form, columns)
