"""Token rows on disk: one Parquet file of ids, labels and the bytes of text that they stand for."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow
from numpy.typing import NDArray
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


Ids: TypeAlias = Sequence[int] | NDArray[np.int32]


class RowWriter:
    """Writes rows batch by batch.

    Attributes:
        sums: what was written: rows, tokens, learned (tokens with a label), bytes and ko_bytes.
    """

    def __init__(self, path: Path) -> None:
        self.sums = dict.fromkeys(("rows", "tokens", "learned", "bytes", "ko_bytes"), 0)
        # Token ids repeat too little for a dictionary to pay.
        self._file = parquet.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False)
        self._rows = list[tuple[str, Ids, Ids, int, int]]()

    def put(self, name: str, ids: Ids, labels: Ids, size: int, korean: int) -> None:
        """Add a row that stands for `size` bytes of text, `korean` of them Hangul."""
        self._rows.append((name, ids, labels, size, korean))

    def add(self, name: str, parts: Sequence[str], fitted: Fitted) -> None:
        """Add the rows of the example `name`; each has its share of the bytes of its texts.

        The rows of a whole example add up to exactly its bytes.
        """
        size = sum(len(part.encode()) for part in parts)
        korean = sum(map(hangul.hangul_bytes, parts))
        upto = [0.0, *accumulate(share for _, _, share in fitted.rows)]
        for number, (ids, labels, _) in enumerate(fitted.rows):
            own, own_korean = (
                round(whole * upto[number + 1]) - round(whole * upto[number])
                for whole in (size, korean)
            )
            numbered = name if len(fitted.rows) == 1 else f"{name}#{number}"
            self.put(numbered, ids, labels, own, own_korean)

    def flush(self) -> None:
        """Write what was added."""
        if not self._rows:
            return
        names, ids, labels, sizes, korean = zip(*self._rows, strict=True)
        offsets = pyarrow.array(np.cumsum([0, *map(len, ids)], dtype=np.int32))
        tokens, learned = (np.concatenate(one, dtype=np.int32) for one in (ids, labels))
        columns = [
            pyarrow.array(names),
            pyarrow.ListArray.from_arrays(offsets, tokens),
            pyarrow.ListArray.from_arrays(offsets, learned),
            pyarrow.array(sizes, pyarrow.int32()),
            pyarrow.array(korean, pyarrow.int32()),
        ]
        self._file.write_table(pyarrow.Table.from_arrays(columns, schema=SCHEMA))
        self.sums["rows"] += len(names)
        self.sums["tokens"] += len(tokens)
        self.sums["learned"] += int(np.count_nonzero(learned != IGNORED))
        self.sums["bytes"] += sum(sizes)
        self.sums["ko_bytes"] += sum(korean)
        self._rows.clear()

    def close(self) -> None:
        """Write what is left and finish the file."""
        self.flush()
        self._file.close()
