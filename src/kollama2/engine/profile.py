"""Profiles: how big a machine each kind of stage gets; none of it is part of a key."""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class Resources(BaseModel):
    """What one stage may use where it runs. It changes the speed of a result, never its meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: PositiveInt = Field(1, description="CPU threads of the process")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes a GPU if there is one"
    )
    gpus: int = Field(
        0, ge=0, description="processes under torchrun when above 1, for what they can share"
    )
    micro_batch_tokens: PositiveInt = Field(4096, description="tokens in one forward pass")
    gradient_checkpointing: bool = Field(
        False, description="compute activations again in the backward pass, which saves memory"
    )
    checkpoint_seconds: float = Field(
        60, gt=0, description="seconds of work between two checkpoints"
    )
    report_to: str = Field(
        "none", description="tracker of the curves: trackio, wandb, tensorboard, mlflow"
    )


class Profile(BaseModel):
    """Resources by kind of stage; `default` serves the kinds that are not named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="stages at a time; one for each core where not said",
    )
    default: Resources = Field(Resources(), description="of the kinds that are not named")
    kinds: dict[str, Resources] = Field({}, description="resources by kind of stage")

    def resources(self, kind: str) -> Resources:
        """The resources of stages of this kind."""
        return self.kinds.get(kind, self.default)
