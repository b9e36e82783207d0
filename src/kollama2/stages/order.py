"""Order: the rows of several sources as one file, in the order of a curriculum."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from kollama2.data.curriculum import Curriculum, OrderName
from kollama2.data.difficulty import Measure
from kollama2.engine.stage import Stage, Work
from kollama2.stages.derive import Derive
from kollama2.stages.encode import Encode
from kollama2.stages.models import TokenizerStage
from kollama2.stages.source import Source

if TYPE_CHECKING:
    from kollama2.train.batches import Rows


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
    def sources(self) -> tuple[Source | Derive, ...]:
        """What is encoded."""
        return tuple(source for one in self.rows for source in one.sources)

    @property
    def tokenizer(self) -> TokenizerStage:
        """What it is encoded by."""
        return self.rows[0].tokenizer

    @property
    def budget(self) -> int:
        """Bytes in all, of text or of Hangul."""
        return self.bytes or self.korean_bytes or 0

    @property
    def curriculum(self) -> Curriculum:
        """The mixture over progress."""
        at = tuple(knot.at for knot in self.knots)
        return Curriculum(self.names, at, tuple(knot.shares for knot in self.knots))

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `rows.parquet`; metrics tell how often each source is repeated."""
        from kollama2.data.reorder import reorder
        from kollama2.train.batches import Rows

        tables = [Rows(work.path(rows), work.scratch) for rows in self.rows]
        figures = reorder(
            self.curriculum,
            tables,
            work.out / "rows.parquet",
            order=self.order,
            size=self.bytes,
            korean=self.korean_bytes,
            mix_by=self.mix_by,
            difficulty=self._difficulty(work, tables),
            start=self.start,
            seed=self.seed,
            progress=work.progress,
        )
        about = json.loads((work.path(self.rows[0]) / "encoding.json").read_text(encoding="utf-8"))
        summary = {key: about[key] for key in ("template", "max_length", "loss", "tokenizer")}
        text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
        (work.out / "encoding.json").write_text(text, encoding="utf-8")
        return figures

    def _difficulty(self, work: Work, tables: Sequence["Rows"]) -> Sequence[Any] | None:
        from kollama2.data.difficulty import difficulties
        from kollama2.model.tokenizer import load_tokenizer

        if self.difficulty is None:
            return None
        tokenizer = load_tokenizer(self.tokenizer.folder(work))
        return [
            difficulties(
                [tokenizer.decode(table.raw(row)[0].tolist()) for row in range(len(table))],
                self.difficulty,
            )
            for table in tables
        ]
