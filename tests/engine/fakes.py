"""Stages that compute nothing of interest, for the tests of the engine."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from kollama2.errors import BadData


class Corpus(Stage):
    """Writes a text."""

    inline: ClassVar[bool] = True
    kind: Literal["corpus"] = "corpus"
    text: str
    revision: str | None = None

    def run(self, work: Work) -> Mapping[str, Any]:
        (work.out / "text.txt").write_text(self.text, encoding="utf-8")
        return {"letters": len(self.text)}


class Part(BaseModel):
    """One part of a mixture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Corpus
    share: float = 1.0


class Train(Stage):
    """Joins its inputs slowly, piece by piece, and resumes where it was killed."""

    kind: Literal["train"] = "train"
    model: Stage | None = None
    data: tuple[Part, ...] = ()
    named: dict[str, Corpus] = Field(default_factory=dict)
    lr: float = 2e-5
    seed: int = 0
    steps: int = 3
    pause: float = 0.0

    def run(self, work: Work) -> Mapping[str, Any]:
        pieces = work.scratch / "pieces"
        pieces.mkdir(exist_ok=True)
        with (work.out / "started.txt").open("a", encoding="utf-8"):
            pass
        for step in range(self.steps):
            piece = pieces / f"{step}"
            if not piece.exists():
                time.sleep(self.pause)
                beside = pieces / f"{step}.new"
                beside.write_text(f"{self.name} {step}\n" * 50, encoding="utf-8")
                beside.replace(piece)
            work.progress(step + 1, self.steps, "steps", loss=1 / (step + 1))
        whole = "".join((pieces / f"{i}").read_text(encoding="utf-8") for i in range(self.steps))
        for needed in self.inputs():
            whole += sorted(work.path(needed).glob("*.txt"))[-1].read_text(encoding="utf-8")
        (work.out / "weights.txt").write_text(whole, encoding="utf-8")
        return {"length": len(whole), "loss": 1 / self.steps}


class Trouble(Stage):
    """Goes wrong in one of the ways in which stages go wrong."""

    shared: ClassVar[bool] = True
    kind: Literal["trouble"] = "trouble"
    how: str
    data: Corpus | None = None

    def run(self, work: Work) -> Mapping[str, Any]:
        print("about to go wrong")
        print("in words", file=sys.stderr, flush=True)
        match self.how:
            case "fault":
                raise BadData("row 7 is empty; remove it")
            case "error":
                raise RuntimeError("shapes 3 and 4 do not fit")
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(600)
            case name:
                os.kill(os.getpid(), signal.Signals[name])
        return {}


class Look(Stage):
    """Reports what its process is like."""

    preload: ClassVar[tuple[str, ...]] = ("kollama2.evaluation",)
    shared: ClassVar[bool] = True
    kind: Literal["look"] = "look"
    index: int = 0
    data: Stage | None = None

    def run(self, work: Work) -> Mapping[str, Any]:
        print("looking")
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "threads": os.environ["OMP_NUM_THREADS"],
            "preloaded": "kollama2.evaluation" in sys.modules,
            "rank": os.environ.get("RANK"),
            "ranks": os.environ.get("WORLD_SIZE"),
        }


def golden() -> Train:
    """A stage with every kind of field, whose key must never change."""
    corpus = Corpus(text="나무")
    first = Train(model=corpus, lr=3e-4)
    return Train(model=first, data=(Part(source=corpus, share=0.5),), named={"b": corpus}, seed=1)


def die_at(root: Path, stage: Stage, moment: int) -> None:
    """Compute a stage, but die as if by SIGKILL at the so-manieth touch of the file system.

    Without dying, leave the number of touches in a file.
    """
    touches = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal touches
        if event == "open" or event.startswith(("os.", "shutil.")):
            touches += 1
            if touches == moment:
                os._exit(9)

    sys.addaudithook(hook)
    Store(root).compute(stage)
    root.with_name("touches").write_text(str(touches))
