"""Order: the rows of several sources as one file, in the order of a curriculum."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from kollama2.data.curriculum import Curriculum, OrderName
from kollama2.data.difficulty import Measure
from kollama2.engine.stage import Stage, Work
from kollama2.stages.encode import Encode
from kollama2.stages.folders import model_folder

if TYPE_CHECKING:
    from kollama2.train.batches import Rows

_AT_ONCE = 1024


class Knot(BaseModel):
    """The mixture at one point of progress: the share of each source, in the stage's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float
    shares: tuple[float, ...]


class Order(Stage):
    """Rows in the order in which training meets them; every order has the same rows.

    Attributes:
        names: what the sources are called.
        rows: the encoded sources.
        knots: the mixture over progress, in shares of the text.
        order: how the curriculum is followed, see `data.curriculum.arrange`.
        difficulty: what is easy within a source; None leaves it in random order.
        start: share of the easiest rows that training begins with.
        bytes: UTF-8 bytes of text in all, or
        korean_bytes: UTF-8 bytes of Hangul in all.
        mix_by: whether shares count bytes or tokens.
        seed: which rows of a source are taken, and everything random in their order.
    """

    kind: Literal["order"] = "order"
    names: tuple[str, ...]
    rows: tuple[Encode, ...]
    knots: tuple[Knot, ...]
    order: OrderName = "forward"
    difficulty: Measure | None = None
    start: float = Field(0.1, gt=0, le=1)
    bytes: PositiveInt | None = None
    korean_bytes: PositiveInt | None = None
    mix_by: Literal["bytes", "tokens"] = "bytes"
    seed: int = 0

    preload: ClassVar[tuple[str, ...]] = ("pyarrow.parquet", "sentencepiece")

    @property
    def curriculum(self) -> Curriculum:
        """The mixture over progress."""
        at = tuple(knot.at for knot in self.knots)
        return Curriculum(self.names, at, tuple(knot.shares for knot in self.knots))

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `rows.parquet`; metrics tell how often each source is repeated."""
        from kollama2.data.curriculum import arrange, take
        from kollama2.train.batches import Rows

        tables = [Rows(work.path(rows), work.scratch) for rows in self.rows]
        wanted = self._wanted(tables)
        chosen = [
            take(table.bytes, want, self.seed, number)
            for number, (table, want) in enumerate(zip(tables, wanted, strict=True))
        ]
        hard = None
        if self.difficulty is not None:
            hard = [
                self._difficulty(work, table, encode)[rows]
                for table, encode, rows in zip(tables, self.rows, chosen, strict=True)
            ]
        sizes = [table.bytes[rows] for table, rows in zip(tables, chosen, strict=True)]
        sources, places = arrange(
            self.curriculum, sizes, self.order, difficulty=hard, start=self.start, seed=self.seed
        )
        learned = np.empty(len(sources), dtype=np.int64)
        for number, rows in enumerate(chosen):
            learned[sources == number] = rows[places[sources == number]]
        self._write(work, tables, sources, learned)
        figures: dict[str, Any] = {"rows": len(sources), "tokens": 0, "bytes": 0, "ko_bytes": 0}
        for table, rows in zip(tables, chosen, strict=True):
            figures["tokens"] += int(table.lengths[rows].sum())
            figures["bytes"] += int(table.bytes[rows].sum())
            figures["ko_bytes"] += int(table.ko_bytes[rows].sum())
        for name, table, size, rows in zip(self.names, tables, sizes, chosen, strict=True):
            figures[f"bytes_{name}"] = int(size.sum())
            figures[f"epochs_{name}"] = round(len(rows) / len(table), 3)
        return figures

    def _wanted(self, tables: Sequence["Rows"]) -> list[int]:
        """Bytes of text of each source."""
        shares = self.curriculum.totals()
        if self.mix_by == "tokens":
            shares = shares * [table.bytes.sum() / table.lengths.sum() for table in tables]
        shares = shares / shares.sum()
        total = float(self.bytes or 0)
        if self.korean_bytes is not None:
            hangul = [table.ko_bytes.sum() / max(table.bytes.sum(), 1) for table in tables]
            total = self.korean_bytes / max(float((shares * hangul).sum()), 1e-9)
        return [max(1, round(share * total)) for share in shares]

    def _difficulty(self, work: Work, table: "Rows", encode: Encode) -> Any:
        from kollama2.data.difficulty import difficulties
        from kollama2.model.tokenizer import load_tokenizer
        from kollama2.train.batches import Document

        assert self.difficulty is not None
        tokenizer = load_tokenizer(model_folder(work, encode.tokenizer))
        texts = [
            tokenizer.decode(table.tokens(Document(row, 0, int(length)))[0].tolist())
            for row, length in enumerate(table.lengths)
        ]
        return difficulties(texts, self.difficulty)

    def _write(self, work: Work, tables: Sequence["Rows"], sources: Any, learned: Any) -> None:
        import pyarrow
        from pyarrow import parquet

        from kollama2.data.rows import SCHEMA

        names = [table.names(list(range(len(table)))) for table in tables]
        with parquet.ParquetWriter(
            work.out / "rows.parquet", SCHEMA, compression="zstd", use_dictionary=False
        ) as file:
            for begin in range(0, len(sources), _AT_ONCE):
                picked = list(
                    zip(
                        sources[begin : begin + _AT_ONCE].tolist(),
                        learned[begin : begin + _AT_ONCE].tolist(),
                        strict=True,
                    )
                )
                batch = {
                    "id": [f"{self.names[s]}:{names[s][row]}" for s, row in picked],
                    "input_ids": [tables[s].raw(row)[0] for s, row in picked],
                    "labels": [tables[s].raw(row)[1] for s, row in picked],
                    "bytes": [int(tables[s].bytes[row]) for s, row in picked],
                    "ko_bytes": [int(tables[s].ko_bytes[row]) for s, row in picked],
                }
                file.write_table(pyarrow.table(batch, schema=SCHEMA))
                work.progress(begin + len(picked), len(sources), "rows")
        about = json.loads((work.path(self.rows[0]) / "encoding.json").read_text(encoding="utf-8"))
        summary = {key: about[key] for key in ("template", "max_length", "loss", "tokenizer")}
        text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
        (work.out / "encoding.json").write_text(text, encoding="utf-8")
