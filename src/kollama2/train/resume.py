"""Resume: this project's checkpoints in the place of the pickles of transformers' trainer."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from kollama2.train import checkpoint
from kollama2.train.average import Average

TIMES = 20
"""How many times what a checkpoint takes, where that is over a second, is worked in between."""


class Resuming:
    """Mixed into a trainer, in front of it; `keep` decides when checkpoints are written."""

    args: Any
    model: Any
    optimizer: Any
    lr_scheduler: Any
    state: Any
    average: Average | None = None

    def keep(self, sync: Callable[[], None], identity: dict[str, Any], seconds: float) -> None:
        """Write a checkpoint after each so many seconds of work, and at the end.

        Args:
            sync: brings the curve to the disk, ahead of each checkpoint.
            identity: what a later training must equal to continue.
            seconds: between two checkpoints.
        """
        self._sync, self._identity = sync, identity
        self.add_callback(_Clock(seconds))  # type: ignore[attr-defined]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._sync()
        checkpoint.save(
            Path(self.args.output_dir),
            asdict(self.state),
            self.model,
            self.optimizer,
            self.lr_scheduler,
            self._identity,
            self.average.state if self.average is not None else None,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoint.load_weights(folder, self.model)
        if self.average is not None:
            self.average.resume(checkpoint.load_average(folder))

    def _load_optimizer_and_scheduler(self, checkpoint_folder: str | None) -> None:
        if checkpoint_folder is not None:
            checkpoint.load_optimizer(Path(checkpoint_folder), self.optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint_folder: str | None) -> None:
        """Each step seeds its own; there is none to load."""


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint after so many seconds and after the last step.

    One that takes long itself is made less often, unless each step was asked for (under a second).
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()
        self.asked = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.asked = time.monotonic()
        if self.asked - self.last >= self.seconds or state.global_step == state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.last = time.monotonic()
        if (took := self.last - self.asked) > 1 <= self.seconds:
            self.seconds = max(self.seconds, TIMES * took)
