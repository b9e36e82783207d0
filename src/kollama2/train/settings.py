"""What is trained and how: every field changes the result; where it is trained is a profile's."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from kollama2.engine.closed import Closed, or_say
from kollama2.engine.document import shorten

ADAPTER_FIELDS = ("rank", "alpha", "dropout", "targets", "dora", "rslora", "train_embeddings")
HEADS = ("embed_tokens", "lm_head", "embed_in", "embed_out")
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
LARGEST = 1000 * UNITS["PB"]


def parse_bytes(value: Any) -> Any:
    """`50MB` → 50,000,000; numbers stay as they are.

    Raises:
        ValueError: it is no amount of bytes, or more than any disk holds.
    """
    size = value
    if isinstance(value, str):
        text = value.strip().upper().replace("_", "").replace(",", "")
        unit = next((one for one in sorted(UNITS, key=len, reverse=True) if text.endswith(one)), "")
        try:
            size = round(float(text.removesuffix(unit)) * UNITS.get(unit, 1))
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{shorten(repr(value))} is no amount of bytes; write 50MB (units: "
                f"{', '.join(UNITS)})"
            ) from error
    if isinstance(size, int | float) and not size <= LARGEST:
        raise ValueError(
            f"{shorten(repr(value))} is more than any disk holds; at most 1,000 PB can be meant"
        )
    return size


Bytes = Annotated[
    PositiveInt,
    BeforeValidator(
        parse_bytes,
        json_schema_input_type=PositiveInt
        | Annotated[str, Field(pattern=r"^[0-9][0-9_,.]*(e[0-9]+)? *([KMGTPkmgtp]?[Bb])?$")],
    ),
]
"""A number of bytes, or such a one as `50MB`."""


Moment = Annotated[float, Field(ge=0, lt=1)]


class Budget(Closed):
    """How much a training learns from; at most one of these."""

    epochs: PositiveFloat | None = Field(None, description="Budget in passes over all rows.")
    bytes: Bytes | None = Field(
        None,
        description="Budget in UTF-8 bytes of text, such as `50MB`. Rows repeat where it is larger "
        "than they are.",
    )
    korean_bytes: Bytes | None = Field(
        None,
        description="Budget in UTF-8 bytes of Hangul, such as `50MB`, whatever else is mixed in.",
    )
    steps: PositiveInt | None = Field(None, description="Budget in optimiser steps.")

    @model_validator(mode="before")
    @classmethod
    def _of_what(cls, given: Any) -> Any:
        if isinstance(given, dict | Budget):
            return given
        raise ValueError("say of what: {bytes: 50MB}, or korean_bytes, epochs or steps")

    @model_validator(mode="after")
    def _at_most_one(self) -> "Budget":
        if len(self.given) > 1:
            found = " and ".join(self.given)
            raise ValueError(f"a training has one budget of {', '.join(BUDGETS)}; found {found}")
        return self

    @property
    def given(self) -> list[str]:
        """The keys that say how much."""
        return [name for name in BUDGETS if getattr(self, name) is not None]


BUDGETS = tuple(Budget.model_fields)


class Training(Budget):
    """What a step of a study and the training that it becomes have in common.

    The defaults are those of LoRA on all linear layers. One budget says how much is trained.
    """

    method: Literal["full", "lora", "qlora"] = Field(
        "lora",
        description="What is trained: all weights (`full`), a low-rank adapter on frozen weights "
        "(`lora`), or an adapter on weights that are quantised to 4 bits, NF4 (`qlora`).",
    )
    rank: PositiveInt = Field(
        16,
        description="Rank r of the adapter: each adapted layer of n inputs and m outputs gains "
        "r(n+m) trained weights.",
    )
    alpha: PositiveFloat = Field(
        32,
        description="Scale of the adapter (LoRA's α): its output is multiplied by alpha/rank, with "
        "`rslora` by alpha/√rank.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the adapter's inputs that are set to zero at random in each step "
        "(LoRA dropout).",
    )
    targets: Annotated[
        Literal["all-linear"] | tuple[str, ...],
        or_say("give all-linear, or a list of names such as [q_proj, v_proj]"),
    ] = Field(
        "all-linear",
        description="Layers that get an adapter (PEFT's target_modules): all linear layers of the "
        "language model but the head, or a list of names such as `[q_proj, v_proj]`.",
    )
    dora: bool = Field(
        False,
        description="Weight-decomposed adapter (DoRA, arXiv 2402.09353): the magnitude of the "
        "weights is learned apart from their direction.",
    )
    rslora: bool = Field(
        False,
        description="Rank-stabilised scale (rsLoRA, arXiv 2312.03732): alpha/√rank instead of "
        "alpha/rank, so that a large rank does not learn more slowly.",
    )
    train_embeddings: bool | None = Field(
        None,
        description="Train embeddings and head in full beside the adapter (PEFT's "
        "modules_to_save). If omitted, only where the vocabulary grew and its new rows were never "
        "trained.",
    )
    freezing: Literal["none", "new-rows", "rows-then-all", "eeve", "two-by-two"] = Field(
        "none",
        description="What learns, and when, after a vocabulary grew: the new rows only "
        "(`new-rows`); the new rows, then all rows of embeddings and head, then everything, a "
        "third of the steps each (`rows-then-all`); EEVE's seven stages (`eeve`); or embeddings, "
        "head and the two outermost layers at each end (`two-by-two`). With an "
        "adapter, embeddings and head must be trained too (`train_embeddings: true`).",
    )

    layers: Annotated[
        Literal["all", "new"] | tuple[int, ...],
        or_say("give all, new, or a list of numbers from 0 such as [0, 1]"),
    ] = Field(
        "all",
        description="Blocks that full training trains: all, those that `expand_blocks` added "
        "(`new`), or a list of their numbers from 0.",
    )
    tables: bool = Field(
        True, description="Whether full training trains the embeddings, the head and the last norm."
    )

    embedding_lr: PositiveFloat | None = Field(
        None,
        description="Peak learning rate of embeddings and head; if omitted, that of all.",
    )
    schedule: Literal["constant", "linear", "cosine", "wsd", "decay", "inverse_sqrt"] = Field(
        "cosine",
        description="Course of the learning rate after the warm-up: `linear` and `cosine` end near "
        "zero; `wsd` is constant and then decays; `decay` falls as the end of `wsd` does, for a "
        "branch of a constant trunk; `inverse_sqrt` falls with the root of the step.",
    )
    warmup: float = Field(
        0.03,
        ge=0,
        lt=1,
        description="Share of the steps in which the learning rate rises from zero to its peak.",
    )
    decay: float = Field(
        0.2, gt=0, le=1, description="Share of the steps in which `wsd` decays, at the end."
    )
    weight_decay: NonNegativeFloat = Field(
        0.0,
        description="Decoupled weight decay of AdamW: each step shrinks a trained weight by this "
        "times the learning rate.",
    )
    average: Literal["none", "ema", "last"] = Field(
        "none",
        description="The model that is kept: the last weights (`none`), their exponential moving "
        "average (`ema`), or the mean of moments of the last fifth (`last`).",
    )
    ema: float = Field(
        0.92, gt=0, lt=1, description="Share of the old average that `ema` keeps at each step."
    )
    last: int = Field(5, ge=2, description="How many moments of the last fifth `last` averages.")
    betas: tuple[Moment, Moment] = Field(
        (0.9, 0.999),
        description="Decay rates of AdamW's two moments (β₁, β₂): the running means of the "
        "gradient and of its square.",
    )
    max_grad_norm: NonNegativeFloat = Field(
        1.0,
        description="Gradient clipping: a gradient whose norm is larger is scaled down to this "
        "norm; 0 clips nothing.",
    )

    batch: PositiveInt = Field(
        32,
        description="Rows in one optimiser step, over all devices (the global batch size); with "
        "`packing`, packed rows of `max_length` tokens.",
    )
    max_length: int = Field(
        1024,
        ge=8,
        description="Longest row in tokens (the context length of the training). A longer text "
        "becomes several rows; a longer chat loses its last turns, or the end of its only answer.",
    )
    packing: bool = Field(
        False,
        description="Fill each row of the batch with several texts up to `max_length`; none of "
        "them attends to another.",
    )
    shield: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the input columns of each linear layer that full training freezes: "
        "those that the rows of `calibration` use most (source-shielded updates, arXiv "
        "2512.04844).",
    )

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Number format of the arithmetic; trained weights are float32 in memory. A CPU "
        "without bfloat16 instructions (AVX512_BF16, AMX) computes it ten times slower than "
        "float32.",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="Seed of order, dropout and adapter. In a study its `seeds` take this place.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Training":
        if not self.given:
            raise ValueError(f"a training has one budget of {', '.join(BUDGETS)}; found none")
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


class TrainSettings(Training):
    """One training, for continued pre-training and fine-tuning alike."""

    lr: PositiveFloat = Field(2e-4, description="Peak learning rate.")
    order: Literal["shuffled", "given"] = Field(
        "shuffled", description="A new permutation each epoch, or the order of the rows as it is."
    )
