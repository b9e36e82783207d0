"""Checkpoints without pickle: trained weights, optimiser, schedule; whole or not at all.

The random state is not among them: each step draws from a generator seeded by (seed, step), and
the order of the data is a function of the step too, so the step's number restores both.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from kollama2.engine.commit import committing, verify, write_json
from kollama2.errors import BadUsage, Corrupt
from kollama2.train.prepare import trained

KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)")
WEIGHTS, MOMENTS, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
AVERAGE = "average.safetensors"


def save(
    scratch: Path,
    trainer_state: dict[str, Any],
    model: Any,
    optimizer: Any,
    schedule: Any,
    identity: dict[str, Any],
    average: dict[str, torch.Tensor] | None = None,
) -> Path:
    """Write `checkpoint-<step>`, then remove all but the newest two.

    Args:
        scratch: the folder of the checkpoints.
        trainer_state: transformers' `TrainerState` as a dictionary; `global_step` steps are done.
        model: its parameters that require a gradient are kept.
        optimizer: a torch optimiser (or accelerate's wrapper).
        schedule: its learning-rate schedule.
        identity: what a later training must equal to continue from here.
        average: the average of the weights so far, if there is one.

    Returns:
        The finished folder.

    Raises:
        TryLater, StorageTrouble: as `engine.commit`; older checkpoints stay as they are.
    """
    step = trainer_state["global_step"]
    final = scratch / f"checkpoint-{step}"
    if final.exists():
        shutil.rmtree(final)  # found unfit before: a fit one would have been resumed
    with committing(final) as partial:
        save_file({n: w.detach().cpu().contiguous() for n, w in trained(model)}, partial / WEIGHTS)
        state = optimizer.state_dict()
        moments = {
            f"{index}.{name}": value.detach().cpu().contiguous()
            for index, values in state["state"].items()
            for name, value in values.items()
        }
        save_file(moments, partial / MOMENTS)
        if average:
            save_file({n: w.cpu().contiguous() for n, w in average.items()}, partial / AVERAGE)
        kept = {"step": step, "identity": identity, "groups": state["param_groups"]}
        kept["schedule"] = {k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"}
        write_json(partial / STATE, kept)
        write_json(partial / "trainer_state.json", trainer_state)
    for old in _found(scratch)[KEPT:]:
        shutil.rmtree(old)
    return final


def newest(scratch: Path, identity: dict[str, Any]) -> tuple[Path, int] | None:
    """The newest checkpoint of which every byte is as written, and its step; None without one.

    Raises:
        BadUsage: the checkpoints belong to another training.
    """
    for leftover in scratch.glob(".checkpoint-*"):
        shutil.rmtree(leftover)  # a kill while it was written
    for folder in _found(scratch):
        try:
            verify(folder, full=True)
        except Corrupt:
            continue
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if state["identity"] != identity:
            raise BadUsage(f"{folder} belongs to a training with other settings or rows; remove it")
        return folder, int(state["step"])
    return None


def load_weights(folder: Path, model: Any) -> None:
    """Put the trained weights of a checkpoint into the model."""
    weights = load_file(folder / WEIGHTS)
    with torch.no_grad():
        for name, weight in trained(model):
            weight.copy_(weights.pop(name))
    assert not weights, f"weights without a place: {sorted(weights)[:3]}"


def load_average(folder: Path) -> dict[str, torch.Tensor]:
    """The average of the weights that a checkpoint holds; empty where there is none."""
    return dict(load_file(folder / AVERAGE)) if (folder / AVERAGE).is_file() else {}


def load_optimizer(folder: Path, optimizer: Any, schedule: Any) -> None:
    """Put optimiser and schedule back to the state of a checkpoint, bit by bit."""
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    values: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(folder / MOMENTS).items():
        index, key = name.split(".", 1)
        values.setdefault(int(index), {})[key] = value
    groups = state["groups"]
    for group in groups:
        group["betas"] = tuple(group["betas"])
    optimizer.load_state_dict({"state": values, "param_groups": groups})
    schedule.load_state_dict({**schedule.state_dict(), **state["schedule"]})


def _found(scratch: Path) -> list[Path]:
    """The checkpoints of a folder, newest first."""
    found = [(m, path) for path in scratch.glob("*") if (m := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda pair: -int(pair[0][1]))]
