"""The worker: the process that computes one stage and tells the main process about it."""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kollama2 import __version__
from kollama2.engine import ranks
from kollama2.engine.failure import Failed
from kollama2.engine.profile import Resources
from kollama2.engine.progress import Tell
from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from kollama2.errors import Fault
from kollama2.locale import Language, choose
from kollama2.records.done import Done

STAGES = "kollama2.stages"


class Request(BaseModel):
    """What a worker is asked to do, as the JSON that it receives."""

    root: Path
    recipe: dict[str, Any]
    module: str = STAGES
    resources: Resources = Resources()
    language: Language = "en"


def work(channel: "Connection[Any, Any]", request: str) -> None:
    """Compute one stage; the entry of a process of its own.

    Sends JSON lines: `["told", what, figures]` any number of times, then `["record", …]` or
    `["fault", exit code, message]`. A process that ends without one of the two was killed.
    """
    os.setsid()  # so Ctrl-C reaches the main process only, which then stops this group
    _die_with_main()
    _send_output(Path(os.devnull))

    def send(*message: object) -> None:
        channel.send_bytes(json.dumps(message).encode())

    try:
        wanted = Request.model_validate_json(request)
        choose(wanted.language)
        record = compute(wanted, lambda what, figures: send("told", what, figures))
    except Fault as fault:
        send("fault", fault.exit_code, str(fault))
    else:
        send("record", record.plain())


def compute(request: Request, tell: Tell, *, quiet: bool = True) -> Done:
    """Compute the stage of a request in this process.

    Args:
        request: what to do.
        tell: receives what happens, as in `Store.compute`.
        quiet: what the stage prints goes to `log.txt` in its folder and not to the terminal.

    Raises:
        Failed: the recipe cannot be read or the stage stopped with an error.
        Fault: as `Store.compute`.
    """
    use_threads(request.resources.threads)
    stage = read_stage(request.recipe, request.module)

    def execute(stage: Stage, work: Work) -> Mapping[str, Any]:
        if request.resources.gpus > 1 and stage.shared:
            return ranks.run(stage, work, request.root)
        if not quiet:
            return stage.run(work)
        with _output_to(work.out / "log.txt"):
            return stage.run(work)

    return Store(request.root).compute(stage, request.resources, tell, execute=execute)


def read_stage(recipe: dict[str, Any], module: str) -> Stage:
    """The stage that a recipe describes.

    Args:
        recipe: the content of a `stage.json`.
        module: where its kind and those of the stages in it are defined.

    Raises:
        Failed: the module or the kind is unknown, or a field does not fit.
    """
    cannot = f"{module} cannot read the recipe of kind {recipe.get('kind')!r}"
    try:
        importlib.import_module(module)
        return Stage.model_validate(recipe)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the recipe"
        raise Failed(
            f"{cannot}: {where}: {first['msg']}; take one that this kollama2 {__version__} wrote"
        ) from error
    except (ImportError, RecursionError, TypeError, ValueError) as error:
        raise Failed(f"{cannot}: {error}") from error


def use_threads(threads: int) -> None:
    """Set the CPU threads of this process, whether or not torch is already imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _die_with_main() -> None:
    main = multiprocessing.parent_process()
    assert main is not None, "a worker is started by the main process"

    def watch() -> None:
        main.join()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="watch main process", daemon=True).start()


def _send_output(file: Path) -> None:
    """Let standard output and error of this process and its children go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


@contextmanager
def _output_to(file: Path) -> Iterator[None]:
    _send_output(file)
    try:
        yield
    finally:
        # Nothing may be added to the log once the folder is listed in its manifest.
        _send_output(Path(os.devnull))
