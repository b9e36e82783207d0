"""How preferences are learned: every field changes the result."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from kollama2.engine.closed import Closed
from kollama2.train.settings import TrainSettings


class PreferSettings(Closed):
    """One preference tuning by DPO.

    The defaults are those of LoRA at 7B (ALMA-R and komt use beta 0.1).
    """

    method: Literal["full", "lora"] = Field(
        "lora",
        description="What is tuned: all weights (`full`) or a low-rank adapter on frozen weights "
        "(`lora`).",
    )
    rank: PositiveInt = Field(16, description="Rank of the adapter.")
    alpha: PositiveFloat = Field(
        32, description="Scale of the adapter (LoRA's α): its output is multiplied by alpha/rank."
    )
    beta: PositiveFloat = Field(
        0.1,
        description="DPO's β, the weight of the KL penalty: the larger, the closer the model stays "
        "to where it was.",
    )
    lr: PositiveFloat = Field(5e-6, description="Peak learning rate.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine",
        description="Course of the learning rate after the warm-up; `linear` and `cosine` end near "
        "zero.",
    )
    warmup: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the steps in which the learning rate rises from zero to its peak.",
    )
    batch: PositiveInt = Field(32, description="Pairs of answers in one optimiser step.")
    max_length: int = Field(
        1024,
        ge=8,
        description="Tokens of a prompt with its longer answer at most; a longer prompt is cut "
        "from the left.",
    )
    epochs: PositiveFloat | None = Field(None, description="Budget in passes over all pairs.")
    steps: PositiveInt | None = Field(None, description="Budget in optimiser steps.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Number format of the arithmetic; trained weights are float32 in memory.",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="Seed of order and adapter. In a study its `seeds` take this place.",
    )

    @model_validator(mode="after")
    def _one_budget(self) -> "PreferSettings":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("preference tuning has one budget: epochs or steps")
        return self

    def training(self) -> TrainSettings:
        """The same model and adapter for the loader that all trainings share."""
        adapter = {"rank": self.rank, "alpha": self.alpha} if self.method == "lora" else {}
        return TrainSettings(
            method=self.method,
            dtype=self.dtype,
            seed=self.seed,
            batch=self.batch,
            max_length=self.max_length,
            steps=1,
            **adapter,
        )
