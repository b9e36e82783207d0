"""Which rows make which step: a pure function of (rows, settings), independent of any process."""

import math
import tempfile
from bisect import bisect_left, insort
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kollama2.errors import BadData
from kollama2.train.settings import TrainSettings

IGNORED = -100
_WINDOW_STEPS = 4
COLUMNS = ("input_ids", "labels", "bytes", "ko_bytes")


class Rows:
    """Encoded rows on disk: token arrays in a memory-mapped file, only offsets in memory.

    Args:
        folder: holds `rows.parquet` (id, input_ids, labels, bytes, ko_bytes).
        cache: where the decoded tokens lie while this object lives; the file has no name and goes
            with the process.

    Raises:
        BadData: no rows, or not the columns that training reads.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.path = folder / "rows.parquet"
        if not self.path.is_file():
            raise BadData(f"{folder} holds no rows.parquet; encode the data first")
        try:
            file = pq.ParquetFile(self.path)
        except pa.ArrowInvalid as error:
            raise BadData(f"{self.path} is not a Parquet file: {error}") from error
        absent = [c for c in ("id", *COLUMNS) if c not in file.schema_arrow.names]
        if absent:
            raise BadData(f"{self.path} lacks the columns {', '.join(absent)}")
        if file.metadata.num_rows == 0:
            raise BadData(f"{self.path} holds no rows; nothing can be trained on it")
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
        lengths, sizes, korean = [], [], []
        with tempfile.TemporaryFile(dir=cache) as ids, tempfile.TemporaryFile(dir=cache) as labels:
            for part in file.iter_batches(columns=list(COLUMNS)):
                columns = {name: part.column(name) for name in COLUMNS}
                lengths.append(columns["input_ids"].value_lengths().to_numpy())
                if not np.array_equal(lengths[-1], columns["labels"].value_lengths().to_numpy()):
                    raise BadData(f"{self.path}: a row has not as many labels as tokens")
                ids.write(columns["input_ids"].flatten().to_numpy().astype(np.int32).data)
                labels.write(columns["labels"].flatten().to_numpy().astype(np.int32).data)
                sizes.append(columns["bytes"].to_numpy())
                korean.append(columns["ko_bytes"].to_numpy())
            self.lengths = np.concatenate(lengths).astype(np.int64)
            self.bytes = np.concatenate(sizes).astype(np.int64)
            self.ko_bytes = np.concatenate(korean).astype(np.int64)
            self.offsets = np.concatenate(([0], np.cumsum(self.lengths)))
            if self.lengths.min() < 2:
                raise BadData(f"{self.path}: row {int(self.lengths.argmin())} has under two tokens")
            ids.flush()
            labels.flush()
            self._ids = np.memmap(ids, np.int32, "r")
            self._labels = np.memmap(labels, np.int32, "r")

    def __len__(self) -> int:
        return len(self.lengths)

    def highest_id(self) -> int:
        """The highest token id of all rows."""
        return int(self._ids.max())

    def any_label(self) -> bool:
        """Whether a loss can be computed on any token."""
        return bool((self._labels != IGNORED).any())

    def tokens(self, document: "Document") -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of a document; the first label is never a target."""
        begin = self.offsets[document.row] + document.start
        end = self.offsets[document.row] + document.stop
        labels = self._labels[begin:end].copy()
        labels[0] = IGNORED
        return np.asarray(self._ids[begin:end]), labels

    def raw(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of a row as they are stored."""
        begin, end = self.offsets[row], self.offsets[row + 1]
        return np.asarray(self._ids[begin:end]), np.asarray(self._labels[begin:end])

    def names(self, rows: list[int]) -> list[str]:
        """The ids of these rows, for messages."""
        column = pq.read_table(self.path, columns=["id"])["id"]
        return [str(column[row].as_py()) for row in rows]


class Document(NamedTuple):
    """Tokens `start:stop` of a row: what attends to itself and to nothing else."""

    row: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """In tokens."""
        return self.stop - self.start


def cut(lengths: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut rows into documents of at most `max_length` tokens, of which they have n in all.

    Documents of one row overlap by one token, so that every label but the row's first is a target
    exactly once.

    Args:
        lengths: [rows], tokens of each row, at least 2.
        max_length: tokens.

    Returns:
        [n, 3]: index into `lengths`, start, stop; and [rows + 1]: where each row's documents begin.
    """
    counts = -(-(lengths - 1) // (max_length - 1))
    ends = np.concatenate(([0], np.cumsum(counts)))
    row = np.repeat(np.arange(len(lengths)), counts)
    start = (np.arange(ends[-1]) - ends[row]) * (max_length - 1)
    stop = np.minimum(start + max_length, lengths[row])
    return np.stack([row, start, stop], axis=1), ends


def documents(rows: Rows, chosen: np.ndarray, max_length: int) -> list[Document]:
    """The rows of these indices, cut."""
    parts, _ = cut(rows.lengths[chosen], max_length)
    return [Document(int(chosen[row]), start, stop) for row, start, stop in parts.tolist()]


def pack(lengths: np.ndarray, size: int) -> list[list[int]]:
    """Best-fit decreasing: each document goes where it leaves the least room; nothing is cut.

    Args:
        lengths: tokens of each document, at most `size`.
        size: tokens of a packed row.

    Returns:
        The indices of the documents in each packed row.

    Source: Ding et al. 2024, "Fewer Truncations Improve Language Modeling" (arXiv 2404.10830).
    """
    packed: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # tokens left -> packed rows that have just that many
    rooms: list[int] = []  # the keys of with_room, ascending
    for index in np.argsort(-lengths, kind="stable"):
        length = int(lengths[index])
        at = bisect_left(rooms, length)
        if at == len(rooms):
            room, target = size, len(packed)
            packed.append([])
        else:
            room = rooms[at]
            target = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[at]
        packed[target].append(int(index))
        left = room - length
        if left > 0:
            if left not in with_room:
                insort(rooms, left)
                with_room[left] = []
            with_room[left].append(target)
    return packed


def packed_rows(lengths: np.ndarray, settings: TrainSettings) -> list[list[int]]:
    """Pack documents; where their order is given, only documents near each other share a row.

    Args:
        lengths: tokens of each document, in their order.
        settings: max_length, batch and order.
    """
    if settings.order == "shuffled":
        return pack(lengths, settings.max_length)
    # A window of a few steps: large enough to fill rows, small enough to keep the order.
    window = _WINDOW_STEPS * settings.batch * settings.max_length
    windows = (np.cumsum(lengths) - 1) // window
    packed: list[list[int]] = []
    for begin, end in pairwise([0, *(np.flatnonzero(np.diff(windows)) + 1), len(lengths)]):
        runs = pack(lengths[begin:end], settings.max_length)
        packed += [[int(begin) + at for at in run] for run in sorted(runs, key=np.mean)]
    return packed


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of `count` things in an epoch: a pure function of (seed, epoch)."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


class BatchPlan:
    """The steps of a training: step i is a list of documents, whoever asks and whenever.

    The unit of the batch is an item: one row, or with packing one packed row. Items come in a
    fresh permutation each epoch, keyed by (seed, epoch); the stream of epochs is cut into steps
    of `batch` items, and only the last step of the budget may be shorter.

    Args:
        rows: the encoded rows.
        settings: batch, max_length, packing, seed and the budget.
        keep: indices of the rows that take part; all by default.
        share: of the budget that is spent; 1 is all of it.

    Raises:
        BadData: the budget counts bytes of text or Hangul and the rows hold none.
    """

    def __init__(
        self,
        rows: Rows,
        settings: TrainSettings,
        keep: np.ndarray | None = None,
        share: float = 1.0,
    ) -> None:
        self.rows = rows
        self.batch = settings.batch
        self.seed = settings.seed
        self.given = settings.order == "given"
        chosen = np.arange(len(rows)) if keep is None else keep
        parts, ends = cut(rows.lengths[chosen], settings.max_length)
        if settings.packing:
            packed = packed_rows(parts[:, 2] - parts[:, 1], settings)
            parts = parts[np.concatenate(packed)]
            ends = np.cumsum([0, *(len(p) for p in packed)])
        parts[:, 0] = chosen[parts[:, 0]]
        self.parts, self.ends = parts, ends
        self.items = len(ends) - 1
        total = self._budget(settings)
        self.total_items = max(1, round(total * share)) if share < 1 else total
        self.steps = math.ceil(self.total_items / self.batch)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def _budget(self, settings: TrainSettings) -> int:
        """Items of the whole training."""
        if settings.steps is not None:
            return settings.steps * settings.batch
        if settings.epochs is not None:
            return max(1, round(settings.epochs * self.items))
        if settings.korean_bytes is not None:
            counted, wanted, what = self.rows.ko_bytes, settings.korean_bytes, "Hangul"
        else:
            assert settings.bytes is not None
            counted, wanted, what = self.rows.bytes, settings.bytes, "text"
        sizes = np.add.reduceat(self._spread(counted, self.parts), self.ends[:-1])
        if sizes.sum() == 0:
            raise BadData(
                f"{self.rows.path}: the rows count no bytes of {what}, so a budget of "
                f"{wanted} bytes never ends; set epochs or steps"
            )
        epochs, rest = divmod(wanted, int(sizes.sum()))
        seen = np.cumsum(sizes[self.order(epochs)])
        more = int(np.searchsorted(seen, rest)) + 1 if rest else 0
        return epochs * self.items + more

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of the items in an epoch."""
        if self.given:
            return np.arange(self.items)
        return order(self.items, self.seed, epoch)

    def step(self, index: int) -> list[Document]:
        """The documents of step `index` (from 0), longest first, so that equal lengths meet."""
        assert 0 <= index < self.steps, index
        found: list[Document] = []
        for place in range(index * self.batch, min((index + 1) * self.batch, self.total_items)):
            epoch, within = divmod(place, self.items)
            if self._order[0] != epoch:
                self._order = (epoch, self.order(epoch))
            item = self._order[1][within]
            parts = self.parts[self.ends[item] : self.ends[item + 1]]
            found += [Document(*part) for part in parts.tolist()]
        return sorted(found, key=lambda d: -d.length)

    def epoch(self, index: int) -> float:
        """Passes over the rows that are done when step `index` is done."""
        return min((index + 1) * self.batch, self.total_items) / self.items

    def seen(self, parts: list[Document]) -> tuple[int, int]:
        """UTF-8 bytes of text in these documents, and of Hangul among them."""
        table = np.array(parts, np.int64)
        counts = (self._spread(c, table).sum() for c in (self.rows.bytes, self.rows.ko_bytes))
        text, hangul = map(int, counts)
        return text, hangul

    def _spread(self, sizes: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """A row's bytes spread over its tokens: [parts], and the parts of a row add up to it."""
        row, start, stop = parts.T
        before = np.where(start > 0, start + 1, 0)  # its first token is the last one's overlap
        length, size = self.rows.lengths[row], sizes[row]
        spread: np.ndarray = size * stop // length - size * before // length
        return spread


def micro_batches(parts: list[Document], tokens: int) -> list[list[Document]]:
    """Cut a step into runs of at most `tokens` tokens (a longer document stands alone)."""
    batches: list[list[Document]] = []
    room = 0
    for part in parts:
        if not batches or part.length > room:
            batches.append([])
            room = tokens
        batches[-1].append(part)
        room -= part.length
    return batches
