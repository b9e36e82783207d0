"""Ranks: one training shared by several processes, each with a device and a part of every step.

Every process holds the whole model and computes some of a step's micro-batches; their gradients
are added up, so all take the same step. The order of the data knows nothing of it: a training has
the same steps with one process and with eight.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")


@dataclass(frozen=True)
class Ranks:
    """This process among `size`; `rank` 0 writes the results."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes what all have computed."""
        return self.rank == 0

    def mine(self, things: Sequence[T]) -> Sequence[T]:
        """Every `size`-th thing, beginning with the rank's own."""
        return things[self.rank :: self.size]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, the same bits in each of them."""
        waiting = [distributed.all_reduce(one, async_op=True) for one in tensors]
        for one in waiting:
            one.wait()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process alone, then all others."""
        if self.size > 1 and not self.first:
            distributed.barrier()
        yield
        if self.size > 1 and self.first:
            distributed.barrier()


@contextmanager
def together(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started; alone where it did not.

    Meanwhile torchrun's variables are hidden: accelerate would deal out the steps by itself, one
    to each process, where we cut every step into parts.

    Args:
        device: `cpu`, or anything else for this process's own GPU where there are any.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    graphics = device != "cpu" and torch.cuda.is_available()
    hidden = {name: os.environ[name] for name in TORCHRUN if name in os.environ}
    if graphics:
        # One GPU is the only one for what this process does with CUDA from now on.
        local, seen = hidden["LOCAL_RANK"], os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[int(local)] if seen else local
    distributed.init_process_group("nccl" if graphics else "gloo")
    for name in hidden:
        del os.environ[name]
    try:
        yield Ranks(distributed.get_rank(), size)
    finally:
        os.environ.update(hidden)
        distributed.destroy_process_group()
