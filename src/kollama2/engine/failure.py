"""Failures of a stage: whatever goes wrong in it becomes a fault of one sentence."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kollama2.engine.provenance import redact
from kollama2.engine.stage import Stage
from kollama2.errors import (
    BadData,
    BadUsage,
    Corrupt,
    Denied,
    Fault,
    Missing,
    StorageTrouble,
    TryLater,
    storage,
    storage_fault,
)
from kollama2.locale import mark, say


class Failed(Fault):
    """A stage stopped with an error of its own, which is a defect and not the user's (exit 70)."""

    exit_code = 70


def fault_of(exit_code: int, message: str) -> Fault:
    """The fault that a worker reported: the class with its exit code, and its sentence."""
    for kind in (BadUsage, BadData, Missing, StorageTrouble, TryLater, Corrupt, Denied):
        if kind.exit_code == exit_code:
            return kind(message)
    return Failed(message)


def out_of_memory(stage: Stage, what: str = mark("ran out of memory")) -> TryLater:
    """The sentence for a stage that did not fit."""
    return TryLater(
        say(
            "{stage} {what}; allow it a smaller micro_batch_tokens in the profile, or run fewer "
            "stages at a time (--jobs 1), then give the same command again",
            stage=stage.name,
            what=say(what),
        )
    )


@contextmanager
def in_one_sentence(stage: Stage, partial: Path) -> Iterator[None]:
    """Turn what goes wrong in a stage into a fault of one sentence, the traceback into a file."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        if fault := storage_fault(error, partial):
            raise fault from error
        if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
            raise out_of_memory(stage) from error
        log = partial / "error.log"
        with storage(log):
            text = "".join(traceback.format_exception(error))
            log.write_text(redact(text), encoding="utf-8")
        line = redact(f"{type(error).__name__}: {error}".strip().splitlines()[0])
        raise Failed(
            say(
                "{stage} stopped with {error} (traceback: {log})",
                stage=stage.name, error=line, log=log,
            )
        ) from error  # fmt: skip
