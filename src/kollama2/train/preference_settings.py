"""How preferences are learned: every field changes the result."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from kollama2.engine.closed import Closed
from kollama2.train.settings import TrainSettings


class PreferSettings(Closed):
    """One preference tuning by DPO.

    The defaults are those of LoRA at 7B (ALMA-R and komt use beta 0.1).
    """

    method: Literal["full", "lora"] = "lora"
    rank: PositiveInt = 16
    alpha: PositiveFloat = 32
    beta: PositiveFloat = Field(0.1, description="how far the model may move from where it was")
    lr: PositiveFloat = 5e-6
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")
    batch: PositiveInt = Field(32, description="pairs in one optimiser step")
    max_length: int = Field(1024, ge=8, description="tokens of prompt and answer")
    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _one_budget(self) -> "PreferSettings":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("preference tuning has one budget: epochs or steps")
        return self

    def training(self) -> TrainSettings:
        """The same model and adapter for the loader that all trainings share."""
        adapter = {"rank": self.rank, "alpha": self.alpha} if self.method == "lora" else {}
        return TrainSettings(
            method=self.method, dtype=self.dtype, seed=self.seed, steps=1, **adapter
        )
