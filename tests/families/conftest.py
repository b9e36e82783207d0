"""The families under test, each made once in a process."""

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch

from tests.families.family import Family


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Family]:
    known: dict[str, Family] = {}

    def of(name: str) -> Family:
        if name not in known:
            place: Path = tmp_path_factory.mktemp(name.replace(" ", "-"))
            known[name] = Family(name, place)
        return known[name]

    return of


@pytest.fixture(scope="session", autouse=True)
def _ready_to_fork() -> Iterator[None]:
    """A process that has imported the training already, from which those that die are forked."""
    forkserver._forkserver._stop()  # one of other tests may have imported less
    multiprocessing.set_forkserver_preload(["tests.families.killed"])
    yield
