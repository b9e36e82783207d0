"""Averages of the weights over a training: exponential, or of moments near its end."""

from typing import Any

import torch
from transformers import TrainerCallback

from kollama2.train.prepare import trained
from kollama2.train.settings import TrainSettings

_STRETCH = 0.2


def moments(steps: int, last: int) -> list[int]:
    """The steps (counted when done) whose weights are averaged: even in the last fifth."""
    first = steps - int(_STRETCH * steps)
    return sorted({round(first + (steps - first) * n / (last - 1)) for n in range(last)} - {0})


class Average(TrainerCallback):  # type: ignore[misc]
    """Keeps an average of all trained weights in float32 beside them.

    `ema`: each step, average = ema · average + (1 - ema) · weights, from the first weights on
    (Elhady et al. 2025, arXiv 2506.00288, keep in-context learning so). `last`: the mean of the
    weights at a few moments of the last fifth of the steps (LAWA, arXiv 2209.14981).

    Attributes:
        state: the average so far by name; empty before the first moment.
    """

    def __init__(self, settings: TrainSettings, steps: int, model: Any) -> None:
        self.settings = settings
        self.state: dict[str, torch.Tensor] = {}
        self._moments = moments(steps, settings.last) if settings.average == "last" else []
        if settings.average == "ema":
            self.state = {name: weight.detach().clone() for name, weight in trained(model)}

    def resume(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from the average of a checkpoint."""
        for name, value in state.items():
            self.state[name] = value

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Add the weights of a finished step."""
        if self.settings.average == "none":
            return
        share = 1 - self.settings.ema
        if self.settings.average == "last":
            if state.global_step not in self._moments:
                return
            share = 1 / (1 + self._moments.index(state.global_step))
        for name, weight in trained(more["model"]):
            now = weight.detach()
            before = self.state.get(name)
            kept = now.clone() if before is None else before.to(now.device).lerp(now, share)
            self.state[name] = kept

    def apply(self, model: Any) -> None:
        """Put the average in the place of the last weights."""
        with torch.no_grad():
            for name, weight in trained(model):
                if name in self.state:
                    weight.copy_(self.state[name])
