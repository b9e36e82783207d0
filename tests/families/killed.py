"""A training that is killed at a step, in a process of its own."""

import os
import signal
from pathlib import Path

from kollama2.engine.profile import Resources
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings


def train_until(step: int, settings: str, base: Path, rows: Path, out: Path) -> None:
    """Train and die by SIGKILL when so many steps are done."""

    def progress(done: int, *_: object, **__: object) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    train(
        TrainSettings.model_validate_json(settings),
        model=base,
        rows=rows,
        out=out,
        scratch=out / "scratch",
        resources=Resources(device="cpu", checkpoint_seconds=1e-9),
        progress=progress,
    )
