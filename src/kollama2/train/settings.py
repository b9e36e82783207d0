"""What is trained and how: every field changes the result; where it is trained is a profile's."""

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

ADAPTER_FIELDS = ("rank", "alpha", "dropout", "targets", "dora", "rslora", "train_embeddings")
BUDGETS = ("epochs", "bytes", "korean_bytes", "steps")
HEADS = ("embed_tokens", "lm_head")


class TrainSettings(BaseModel):
    """One training, for continued pre-training and fine-tuning alike.

    The defaults are those of LoRA on all linear layers at the usual learning rate of a 7B model.
    Exactly one of `epochs`, `bytes`, `korean_bytes` and `steps` says how much is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["full", "lora", "qlora"] = Field(
        "lora", description="all weights, an adapter, or an adapter on an NF4 base"
    )
    rank: PositiveInt = Field(16, description="rank of the adapter")
    alpha: PositiveFloat = Field(32, description="adapter scale: alpha/rank (rsLoRA: alpha/√rank)")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the adapter")
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="all linear layers but the head, or names such as q_proj"
    )
    dora: bool = Field(False, description="weight-decomposed adapter (DoRA, arXiv 2402.09353)")
    rslora: bool = Field(False, description="rank-stabilised scale (rsLoRA, arXiv 2312.03732)")
    train_embeddings: bool | None = Field(
        None,
        description="train embed_tokens and lm_head in full beside the adapter; where not said, "
        "only if the vocabulary grew and its new rows were never trained",
    )
    freezing: Literal["none", "new-rows", "rows-then-all", "eeve", "two-by-two"] = Field(
        "none",
        description="after a vocabulary grew: train its new rows only; then all rows, then all; "
        "in EEVE's seven stages; or rows and the two layers at both ends",
    )

    lr: PositiveFloat = Field(2e-4, description="highest learning rate")
    schedule: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "cosine", description="after the warm-up; linear and cosine end near zero"
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps that warm up")
    decay: float = Field(0.2, gt=0, le=1, description="share of the steps that decay (wsd only)")
    weight_decay: NonNegativeFloat = 0.0
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW's moments")
    max_grad_norm: NonNegativeFloat = Field(1.0, description="0 clips nothing")

    batch: PositiveInt = Field(
        32, description="rows in one optimiser step; with packing, packed rows of max_length"
    )
    max_length: int = Field(
        1024, ge=8, description="tokens; a longer row becomes several documents, nothing is lost"
    )
    packing: bool = Field(False, description="count the batch in packed rows, not in rows")

    epochs: PositiveFloat | None = Field(None, description="budget: passes over the rows")
    bytes: PositiveInt | None = Field(
        None, description="budget: UTF-8 bytes of text; rows repeat when it is larger than they are"
    )
    korean_bytes: PositiveInt | None = Field(
        None, description="budget: UTF-8 bytes of Hangul, whatever else is mixed in"
    )
    steps: PositiveInt | None = Field(None, description="budget: optimiser steps")

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the arithmetic; trained weights are float32 in memory. A CPU without "
        "bfloat16 instructions (AVX512_BF16, AMX) computes it ten times slower than float32",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of order, dropout and adapter")

    @model_validator(mode="after")
    def _consistent(self) -> "TrainSettings":
        budgets = [n for n in BUDGETS if getattr(self, n) is not None]
        if len(budgets) != 1:
            found = " and ".join(budgets) if budgets else "none"
            raise ValueError(f"a training has one budget of {', '.join(BUDGETS)}; found {found}")
        if self.method == "full":
            default = type(self).model_fields
            odd = [n for n in ADAPTER_FIELDS if getattr(self, n) != default[n].default]
            if odd:
                raise ValueError(
                    f"method full has no adapter; remove {', '.join(odd)} or use lora or qlora"
                )
        elif not self.targets:
            raise ValueError('targets is empty; name layers such as q_proj or use "all-linear"')
        elif named := [t for t in self.targets if t in HEADS]:
            raise ValueError(
                f"targets names {', '.join(named)}; use train_embeddings: true, which trains them "
                "in full"
            )
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ValueError(
                f"warmup {self.warmup} and decay {self.decay} together exceed the whole training"
            )
        return self
