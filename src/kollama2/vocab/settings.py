"""How a vocabulary grows and how its new rows begin: every field changes the result."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Procedure = Literal["hangul-append"]
Init = Literal["random", "mean", "mean_noise", "subtoken_mean", "weighted_mean", "eeve"]


class VocabSettings(BaseModel):
    """The new pieces of a tokenizer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedure: Procedure = Field("hangul-append", description="how pieces are chosen and added")
    size: int = Field(8192, ge=0, description="new pieces; fewer where the corpus has no more")
    syllables: bool = Field(
        True, description="begin with the 2,350 syllables of KS X 1001, so that none is bytes"
    )
    multiple: PositiveInt = Field(
        64, description="reserve pieces fill the vocabulary up to a multiple of this"
    )


class InitSettings(BaseModel):
    """The first embeddings of new pieces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    init: Init = Field("weighted_mean", description="how the rows of new pieces begin")
    seed: int = Field(0, ge=0, lt=2**32, description="of random rows")
