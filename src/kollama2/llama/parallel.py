"""Model parallelism: one model over the processes that torchrun starts (tensor parallelism).

The sharding plan is transformers' own; gloo carries it on CPUs and nccl on GPUs.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from kollama2.engine.failure import fault_of
from kollama2.errors import BadUsage, Fault
from kollama2.llama.faults import Unmet

_PATIENCE = timedelta(hours=2)  # the first process may convert 130 GB while the others wait
T = TypeVar("T")


def start(size: int | None) -> int:
    """Join the processes of torchrun, as the reference's `build` does.

    Args:
        size: the degree of model parallelism; None for as many processes as there are.

    Returns:
        The degree.

    Raises:
        Unmet: `size` is not the number of processes.
    """
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE", 1))
    if size is not None and size != world:
        raise Unmet(
            f"Loading a checkpoint for MP={size} but world size is {world}; start the program "
            f"with torchrun --nproc_per_node {size}"
        )
    if world == 1:
        return 1
    local = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
        atexit.register(_leave)
    if local > 0:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (for the life of the process)
    return world


def _leave() -> None:
    """Leave together: over gloo a process that leaves earlier can abort the others at their exit.

    The wait is short, because a process that failed alone must not hold the others.
    """
    if not dist.is_initialized():
        return
    if dist.get_backend() == "gloo":
        with suppress(RuntimeError):
            dist.monitored_barrier(timeout=timedelta(seconds=10))
    dist.destroy_process_group()


def check(config: Any, degree: int) -> None:
    """Refuse a degree by which a model cannot be divided, before its weights are read.

    Raises:
        BadUsage: it does not divide the heads, the key-value heads or the feed-forward width.
    """
    for what, count in (
        ("heads", config.num_attention_heads),
        ("key-value heads", config.num_key_value_heads),
        ("feed-forward units", config.intermediate_size),
    ):
        if count % degree:
            raise BadUsage(
                f"model parallelism {degree} does not divide the model's {count} {what}; start "
                f"torchrun with a --nproc_per_node that does"
            )


def once(work: Callable[[], T]) -> T:
    """Do the work in the first process alone and give its result, or its fault, to all."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return work()
    told: list[Any] = [None, None]
    if dist.get_rank() == 0:
        try:
            told[0] = work()
        except Fault as fault:
            told[1] = (fault.exit_code, str(fault))
    dist.broadcast_object_list(told, src=0)
    if told[1] is not None:
        raise fault_of(*told[1])
    result: T = told[0]
    return result


def agree(tokens: torch.Tensor) -> torch.Tensor:
    """Every process goes on with the first one's choice, whatever its own last bits said."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.broadcast(tokens, src=0)
    return tokens
