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
        description="How pieces are chosen and joined: `hangul-append` means the same in every "
        "runtime; the others reproduce published tokenizers with their faults, which the audit "
        "then records instead of refusing them.",
    )
    size: PositiveInt | None = Field(
        None,
        description="New pieces at most; if omitted, as many as were published, and 8,192 for "
        "`hangul-append`.",
    )
    syllables: bool = Field(
        True,
        description="Begin with the 2,350 syllables of KS X 1001, so that no usual one falls to "
        "bytes (`hangul-append` only).",
    )
    min_count: NonNegativeInt = Field(
        0,
        description="How often the corpus must hold one of these syllables to make it a piece "
        "(`hangul-append` only).",
    )
    endings: bool = Field(
        False,
        description="Pieces may end in the full stop or comma of a word, like `다.` and `지만,` "
        "(`hangul-append` and SentencePiece only; other tokenizers cut punctuation off before they "
        "merge).",
    )
    multiple: PositiveInt = Field(
        64,
        description="Reserve pieces fill a SentencePiece vocabulary up to a multiple of this.",
    )

    @property
    def wanted(self) -> int:
        """New pieces at most."""
        return self.size or SIZES[self.procedure]


class PruneSettings(Closed):
    """The tokens that stay in a smaller tokenizer."""

    keep: tuple[Language, ...] = Field(
        description="Languages whose scripts stay, by their ISO 639 codes, such as `[ko, en]`; the "
        "tokens of all other scripts leave.",
        min_length=1,
    )


class InitSettings(Closed):
    """The first embeddings of new pieces."""

    init: Init = Field(
        "weighted_mean",
        description="How the rows of new pieces begin: drawn from the distribution of the old ones "
        "(`random`); their mean (`mean`), with noise (`mean_noise`); the mean of the old tokens "
        "that a piece replaces (`subtoken_mean`), weighted by position (`weighted_mean`); as in "
        "EEVE (`eeve`); by the old tokens that stood there in a text (`align`); or learned from a "
        "text so that the frozen model gives the same hidden states as before (`distill`).",
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of random rows and of the order of texts."
    )
    text: PositiveInt = Field(
        1_000_000,
        description="UTF-8 bytes of the corpus to look at (`align` and `distill` only).",
    )
    lr: PositiveFloat = Field(
        0.02,
        description="First step as a share of the typical size of an embedding (`distill` only).",
    )
    batch: PositiveInt = Field(16, description="Parts of texts in one step (`distill` only).")
    max_length: PositiveInt = Field(
        128, description="Old tokens of one part of a text at most (`distill` only)."
    )
