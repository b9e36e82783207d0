"""Token rows on disk: one Parquet file of ids, labels and the bytes of text that they stand for."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

from kollama2.data.fit import Fitted
from kollama2.korean import hangul
from kollama2.model.chat import IGNORED

SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "input_ids": pyarrow.list_(pyarrow.int32()),
        "labels": pyarrow.list_(pyarrow.int32()),
        "bytes": pyarrow.int32(),
        "ko_bytes": pyarrow.int32(),
    }
)


class RowWriter:
    """Writes rows batch by batch.

    Attributes:
        sums: what was written: rows, tokens, learned (tokens with a label), bytes and ko_bytes.
    """

    def __init__(self, path: Path) -> None:
        self.sums = dict.fromkeys(("rows", "tokens", "learned", "bytes", "ko_bytes"), 0)
        # Token ids repeat too little for a dictionary to pay.
        self._file = parquet.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False)
        self._clear()

    def _clear(self) -> None:
        self._names = list[str]()
        self._ids = list[int]()
        self._labels = list[int]()
        self._lengths = list[int]()
        self._bytes = list[int]()
        self._ko_bytes = list[int]()

    def add(self, name: str, parts: Sequence[str], fitted: Fitted) -> None:
        """Add the rows of the example `name`; each has its share of the bytes of its texts.

        The rows of a whole example add up to exactly its bytes.
        """
        size = sum(len(part.encode()) for part in parts)
        korean = sum(map(hangul.hangul_bytes, parts))
        upto = [0.0, *accumulate(share for _, _, share in fitted.rows)]
        for number, (ids, labels, _) in enumerate(fitted.rows):
            self._names.append(name if len(fitted.rows) == 1 else f"{name}#{number}")
            self._ids += ids
            self._labels += labels
            self._lengths.append(len(ids))
            self._bytes.append(round(size * upto[number + 1]) - round(size * upto[number]))
            self._ko_bytes.append(round(korean * upto[number + 1]) - round(korean * upto[number]))

    def flush(self) -> None:
        """Write what was added."""
        if not self._names:
            return
        labels = np.array(self._labels, dtype=np.int32)
        offsets = pyarrow.array(np.cumsum([0, *self._lengths], dtype=np.int32))
        columns = [
            pyarrow.array(self._names),
            pyarrow.ListArray.from_arrays(offsets, np.array(self._ids, dtype=np.int32)),
            pyarrow.ListArray.from_arrays(offsets, labels),
            pyarrow.array(self._bytes, pyarrow.int32()),
            pyarrow.array(self._ko_bytes, pyarrow.int32()),
        ]
        self._file.write_table(pyarrow.Table.from_arrays(columns, schema=SCHEMA))
        self.sums["rows"] += len(self._names)
        self.sums["tokens"] += len(labels)
        self.sums["learned"] += int(np.count_nonzero(labels != IGNORED))
        self.sums["bytes"] += sum(self._bytes)
        self.sums["ko_bytes"] += sum(self._ko_bytes)
        self._clear()

    def close(self) -> None:
        """Write what is left and finish the file."""
        self.flush()
        self._file.close()
