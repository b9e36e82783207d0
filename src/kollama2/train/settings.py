"""What is trained and how: every field changes the result; where it is trained is a profile's."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from kollama2.engine.closed import Closed

ADAPTER_FIELDS = ("rank", "alpha", "dropout", "targets", "dora", "rslora", "train_embeddings")
BUDGETS = ("epochs", "bytes", "korean_bytes", "steps")
HEADS = ("embed_tokens", "lm_head", "embed_in", "embed_out")


class TrainSettings(Closed):
    """One training, for continued pre-training and fine-tuning alike.

    The defaults are those of LoRA on all linear layers at the usual learning rate of a 7B model.
    Exactly one of `epochs`, `bytes`, `korean_bytes` and `steps` says how much is trained.
    """

    method: Literal["full", "lora", "qlora"] = Field(
        "lora", description="all weights, an adapter, or an adapter on an NF4 base"
    )
    rank: PositiveInt = Field(16, description="rank of the adapter")
    alpha: PositiveFloat = Field(32, description="adapter scale: alpha/rank (rsLoRA: alpha/√rank)")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the adapter")
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear",
        description="all linear layers of the language model but the head, or names such as q_proj",
    )
    dora: bool = Field(False, description="weight-decomposed adapter (DoRA, arXiv 2402.09353)")
    rslora: bool = Field(False, description="rank-stabilised scale (rsLoRA, arXiv 2312.03732)")
    train_embeddings: bool | None = Field(
        None,
        description="train embeddings and head in full beside the adapter; where not said, "
        "only if the vocabulary grew and its new rows were never trained",
    )
    freezing: Literal["none", "new-rows", "rows-then-all", "eeve", "two-by-two"] = Field(
        "none",
        description="after a vocabulary grew: train its new rows only; then all rows, then all; "
        "in EEVE's seven stages; or rows and the two layers at both ends",
    )

    layers: Literal["all", "new"] | tuple[int, ...] = Field(
        "all", description="full only: which blocks are trained; new ones are those of llama-pro"
    )
    tables: bool = Field(
        True, description="full only: train the embeddings, the head, the last norm"
    )

    lr: PositiveFloat = Field(2e-4, description="highest learning rate")
    embedding_lr: PositiveFloat | None = Field(
        None, description="highest learning rate of embeddings and head; None: that of all"
    )
    schedule: Literal["constant", "linear", "cosine", "wsd", "decay", "inverse_sqrt"] = Field(
        "cosine",
        description="after the warm-up; linear and cosine end near zero; decay falls as the end of "
        "wsd does, for a branch of a constant trunk; inverse_sqrt falls with the root of the step",
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps that warm up")
    decay: float = Field(0.2, gt=0, le=1, description="share of the steps that decay (wsd only)")
    weight_decay: NonNegativeFloat = 0.0
    average: Literal["none", "ema", "last"] = Field(
        "none", description="the result is the last weights, or an average over the training"
    )
    ema: float = Field(0.92, gt=0, lt=1, description="share of the old average at each step (ema)")
    last: int = Field(5, ge=2, description="how many moments of the last fifth are averaged (last)")
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW's moments")
    max_grad_norm: NonNegativeFloat = Field(1.0, description="0 clips nothing")

    batch: PositiveInt = Field(
        32, description="rows in one optimiser step; with packing, packed rows of max_length"
    )
    max_length: int = Field(
        1024, ge=8, description="tokens; a longer row becomes several documents, nothing is lost"
    )
    packing: bool = Field(False, description="count the batch in packed rows, not in rows")
    order: Literal["shuffled", "given"] = Field(
        "shuffled", description="a new permutation each epoch, or the order of the rows as they are"
    )
    shield: float = Field(
        0.0, ge=0, lt=1, description="share of the input columns that calibration rows freeze"
    )

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
        elif self.layers != "all" or not self.tables:
            raise ValueError(f"layers and tables choose whole weights; {self.method} trains none")
        elif self.shield:
            raise ValueError(f"shield freezes columns of weights, and {self.method} trains none")
        elif not self.targets:
            raise ValueError('targets is empty; name layers such as q_proj or use "all-linear"')
        elif named := [t for t in self.targets if t in HEADS]:
            raise ValueError(
                f"targets names {', '.join(named)}; use train_embeddings: true, which trains them "
                "in full"
            )
        if self.embedding_lr is not None and self.method != "full" and not self.train_embeddings:
            raise ValueError("embedding_lr has no effect without train_embeddings: true")
        if self.layers == () and not self.tables:
            raise ValueError("layers is empty and tables is false; nothing would be trained")
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ValueError(
                f"warmup {self.warmup} and decay {self.decay} together exceed the whole training"
            )
        if self.schedule == "inverse_sqrt" and not self.warmup:
            raise ValueError(
                "inverse_sqrt falls from the end of the warm-up, and warmup is 0; use 0.01 or more"
            )
        return self
