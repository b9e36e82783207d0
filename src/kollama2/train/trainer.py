"""What TRL's two trainers have in common here: no pickle, no telemetry, no tokenizer."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.train import checkpoint
from kollama2.train.average import Average
from kollama2.train.prepare import trained

TIMES = 20
"""How many times what a checkpoint takes, where that is over a second, is worked in between."""


class Diverged(BadData):
    """The loss or its gradient is no longer a number."""


class Resuming:
    """Mixed into a trainer, in front of it, with this project's checkpoints; see `keep`."""

    args: Any
    model: Any
    optimizer: Any
    lr_scheduler: Any
    state: Any
    average: Average | None = None
    broken: Callable[[], Diverged]
    """The fault of a step after which a weight is no number."""

    def __init__(self, *, model: Any, **more: Any) -> None:
        before = {name: weight.data for name, weight in trained(model)}
        super().__init__(model=model, **more)  # type: ignore[call-arg]
        for name, weight in trained(model):
            weight.data = before[name]  # TRL makes some bfloat16, which loses small updates
        self.remove_callback(PrinterCallback)  # type: ignore[attr-defined]

    def keep(self, sync: Callable[[], None], identity: dict[str, Any], seconds: float) -> None:
        """Write a checkpoint after each so many seconds of work, and at the end.

        Args:
            sync: brings the curve to the disk, ahead of each checkpoint.
            identity: what a later training must equal to continue.
            seconds: between two checkpoints.
        """
        self._sync, self._identity = sync, identity
        self.add_callback(_Clock(seconds))  # type: ignore[attr-defined]

    def _send_telemetry(self) -> None:
        """Nothing of a training leaves the machine unasked."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not all(torch.isfinite(weight).all() for _, weight in trained(self.model)):
            raise self.broken()
        self._sync()
        checkpoint.save(
            Path(self.args.output_dir),
            asdict(self.state),
            self.model,
            self.optimizer,
            self.lr_scheduler,
            self._identity,
            self.average.state if self.average else None,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoint.load_weights(folder, self.model)
        if self.average:
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


def arguments(
    scratch: Path, steps: int, lr: float, seed: int, resources: Resources
) -> dict[str, Any]:
    """What both trainers are told: where they work, and to write, log and narrow nothing."""
    return {
        "output_dir": str(scratch),
        "max_steps": steps,
        "learning_rate": lr,
        "bf16": False,
        "fp16": False,
        "activation_checkpointing": resources.gradient_checkpointing,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": seed,
        "dataloader_pin_memory": False,
        "use_cpu": resources.device == "cpu" or not torch.cuda.is_available(),
    }


def no_tokenizer() -> PreTrainedTokenizerFast:
    """An empty one: TRL insists on a tokenizer, and the rows hold token ids already."""
    pad = "<pad>"
    words = Tokenizer(WordLevel({pad: 0}, unk_token=pad))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=pad, eos_token=pad)
