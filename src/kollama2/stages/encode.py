"""Encode: sources of text or chats, written as token ids with labels by a model's tokenizer."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from kollama2.engine.stage import Stage, Work
from kollama2.stages.derive import Derive
from kollama2.stages.models import TokenizerStage
from kollama2.stages.source import Source, content


class MixturePart(BaseModel):
    """One source of a mixture and its share of the bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source | Derive = Field(discriminator="kind")
    weight: PositiveFloat = 1.0


class Encode(Stage):
    """Rows of token ids: shared by every method and seed that trains on the same data.

    Attributes:
        data: the sources and their shares of the bytes.
        tokenizer: the stage that defines the tokenizer.
        template: how a chat is written: `own`, the template that the model was taught (`llama2`
            where it was taught none), or the name of another.
        max_length: longest row in tokens.
        loss: learn the assistant's turns only, or everything.
        bytes: stop after this many UTF-8 bytes of text; None takes all.
        seed: decides which rows fall under a byte limit.
        limit: take only so many rows of each source, its first; None takes all.
    """

    kind: Literal["encode"] = "encode"
    version: ClassVar[int] = 4
    data: tuple[MixturePart, ...]
    tokenizer: TokenizerStage
    template: str = "own"
    max_length: PositiveInt = 1024
    loss: Literal["assistant", "all"] = "assistant"
    bytes: PositiveInt | None = None
    seed: int = 0
    limit: PositiveInt | None = None

    preload: ClassVar[tuple[str, ...]] = ("pyarrow.parquet", "sentencepiece")

    @property
    def sources(self) -> tuple[Source | Derive, ...]:
        """What is encoded."""
        return tuple(part.source for part in self.data)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Read, normalise, encode; rejected rows are written beside the result."""
        from kollama2.data.encode import Input, encode

        return encode(
            [
                Input(
                    content(work.path(part.source)),
                    form=part.source.form,
                    columns=dict(part.source.columns),
                    weight=part.weight if len(self.data) > 1 else None,
                )
                for part in self.data
            ],
            self.tokenizer.folder(work),
            work.out,
            template=self.template,
            max_length=self.max_length,
            loss=self.loss,
            budget_bytes=self.bytes,
            seed=self.seed,
            limit=self.limit,
            progress=work.progress,
        )
