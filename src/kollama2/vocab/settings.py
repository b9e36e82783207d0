"""How a vocabulary grows and how its new rows begin: every field changes the result."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from kollama2.engine.closed import Closed

Language = Literal[
    "ar", "bn", "de", "el", "en", "es", "fr", "he", "hi", "ja", "ko", "pt", "ru", "ta", "th", "vi",
    "zh",
]  # fmt: skip
Procedure = Literal["hangul-append", "chinese-llama2", "llama2-ko", "eeve"]
Init = Literal[
    "random", "mean", "mean_noise", "subtoken_mean", "weighted_mean", "eeve", "align", "distill"
]

NEEDS_TEXT = ("align", "distill")
"""Inits that read text, not the pieces alone."""
SIZES = {"hangul-append": 8192, "chinese-llama2": 23_296, "llama2-ko": 14_336, "eeve": 8960}
"""New pieces of each procedure as published; Llama 2's 32,000 become 55,296, 46,336 and 40,960."""


class VocabSettings(Closed):
    """The new pieces of a tokenizer."""

    procedure: Procedure = Field(
        "hangul-append",
        description="hangul-append means the same in every runtime; the others reproduce published "
        "tokenizers with their faults, which the audit then records instead of refusing them",
    )
    size: PositiveInt | None = Field(
        None,
        description="new pieces at most; as published, and 8,192 for hangul-append, where None",
    )
    syllables: bool = Field(
        True,
        description="hangul-append: begin with the 2,350 syllables of KS X 1001, so that no usual "
        "one falls to bytes",
    )
    min_count: NonNegativeInt = Field(
        0,
        description="hangul-append: of those syllables only the ones that a corpus holds so often",
    )
    endings: bool = Field(
        False,
        description="hangul-append: pieces may end in the full stop or comma of a word, like 다. "
        "and 지만, (SentencePiece only; other tokenizers cut punctuation off before they merge)",
    )
    multiple: PositiveInt = Field(
        64, description="reserve pieces fill a SentencePiece vocabulary up to a multiple of this"
    )

    @property
    def wanted(self) -> int:
        """New pieces at most."""
        return self.size or SIZES[self.procedure]


class PruneSettings(Closed):
    """The tokens that stay in a smaller tokenizer."""

    keep: tuple[Language, ...] = Field(
        description="languages whose scripts stay, by their ISO 639 codes, such as ko and en; the "
        "tokens of all other scripts leave",
        min_length=1,
    )


class InitSettings(Closed):
    """The first embeddings of new pieces."""

    init: Init = Field("weighted_mean", description="how the rows of new pieces begin")
    seed: int = Field(0, ge=0, lt=2**32, description="of random rows and of the order of texts")
    text: PositiveInt = Field(
        1_000_000, description="align, distill: UTF-8 bytes of the corpus to look at"
    )
    lr: PositiveFloat = Field(
        0.02, description="distill: first step as a share of the typical size of an embedding"
    )
    batch: PositiveInt = Field(16, description="distill: texts in one step")
    max_length: PositiveInt = Field(128, description="distill: old tokens of a text at most")
