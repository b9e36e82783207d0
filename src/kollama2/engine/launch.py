"""The local launcher: each stage in a process of its own, forked from a warm server.

The server imports the training stack once (5-7 s). A worker forked from it starts in milliseconds
with clean memory and random state, and if it crashes only its stage fails.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from kollama2.engine import worker
from kollama2.engine.failure import Failed, fault_of, out_of_memory
from kollama2.engine.graph import Launch
from kollama2.engine.profile import Profile
from kollama2.engine.progress import Tell
from kollama2.engine.provenance import gpu_names
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import Fault, TryLater
from kollama2.locale import chosen, mark, say
from kollama2.records.done import Done

_GRACE_SECONDS = 5.0
_starting = threading.Lock()


def local(
    store: Store,
    profile: Profile | None = None,
    *,
    preload: Sequence[str] = (),
) -> Launch:
    """A launcher that computes stages on this machine.

    Args:
        store: where results lie.
        profile: what each kind of stage may use.
        preload: modules that the server imports once; take them from `Plan.preload`. The server
            starts with the first stage, so nothing is imported where nothing is to do; it serves
            all launchers of this process, with what the first of them wanted.
    """
    profile = profile or Profile()
    method = "forkserver" if _can_fork(profile) else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([worker.__name__, *preload])

    def launch(stage: Stage, tell: Tell, stop: threading.Event) -> Done:
        request = worker.Request(
            root=store.root.absolute(),
            recipe=stage.recipe(),
            module=type(stage).__module__,
            resources=profile.resources(stage.kind),
            language=chosen(),
        )
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=worker.work, args=(theirs, request.model_dump_json()), name=stage.name
        )
        tell("launching", {})
        try:
            with _nameless_program():
                process.start()
        except (OSError, EOFError) as error:
            raise Failed(
                f"no worker could be started for {stage.name}; importing one of {list(preload)} "
                f"probably failed: {error!r}"
            ) from error
        theirs.close()
        try:
            answer = _listen(ours, process, tell, stop)
        finally:
            _end(process, at_once=stop.is_set())
            ours.close()
        if answer is not None and answer[0] == "record":
            return Done.model_validate(answer[1])
        if answer is not None:
            raise fault_of(*answer[1:])
        if stop.is_set():
            raise TryLater(
                say("{stage} was interrupted; the same command continues it", stage=stage.name)
            )
        raise _death(stage, store, process.exitcode)

    return launch


@contextmanager
def _nameless_program() -> Iterator[None]:
    """Hide from which file the program that asks comes: workers need nothing of it.

    multiprocessing runs it in each of them, and a script without a guard would ask for more.
    """
    with _starting:
        program, nameless = sys.modules["__main__"], ModuleType("__main__")
        where = ("__file__", "__spec__")
        vars(nameless).update({k: v for k, v in vars(program).items() if k not in where})
        sys.modules["__main__"] = nameless
        try:
            yield
        finally:
            sys.modules["__main__"] = program


def _can_fork(profile: Profile) -> bool:
    """Whether workers can be forked from a process that has imported the training stack.

    Only on Linux; and not where a stage may use a GPU, because merely importing the stack can
    initialise CUDA, which then does not work in a forked process.
    """
    if sys.platform != "linux":
        return False
    devices = {r.device for r in (profile.default, *profile.kinds.values())}
    return devices == {"cpu"} or not (gpu_names() or Path("/dev/nvidiactl").exists())


def _listen(
    channel: "Connection[Any, Any]", process: BaseProcess, tell: Tell, stop: threading.Event
) -> list[Any] | None:
    """Pass on what the worker tells until it answers, dies or is to be stopped."""
    while not stop.is_set():
        ready = wait([channel, process.sentinel], timeout=0.2)
        if channel in ready:
            try:
                message = json.loads(channel.recv_bytes())
            except EOFError:
                break
            if message[0] != "told":
                return list(message)
            tell(message[1], message[2])
        elif ready:
            break
    return None


def _end(process: BaseProcess, at_once: bool) -> None:
    """See to it that the worker and what it started are gone.

    One that has answered is given time to leave. One that is to be stopped has nothing to tidy up,
    because what it has not published it resumes.
    """
    if not at_once:
        process.join(_GRACE_SECONDS)
    for name in ("SIGTERM", "SIGKILL"):
        if process.exitcode is None:
            _signal_group(process, name)
            process.join(_GRACE_SECONDS)


def _signal_group(process: BaseProcess, name: str) -> None:
    assert process.pid is not None, "it was started"
    try:
        os.killpg(process.pid, signal.Signals[name])
    except ProcessLookupError:  # it has no group of its own yet, or has just ended
        process.kill()


def _death(stage: Stage, store: Store, code: int | None) -> Fault:
    log = store.partial(stage) / "log.txt"
    if code is None or code >= 0:
        return Failed(f"the worker of {stage.name} ended with exit code {code}; see {log}")
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        return out_of_memory(
            stage, mark("was killed by SIGKILL (137), probably because memory ran out")
        )
    if -code == signal.SIGTERM:
        return TryLater(f"{stage.name} was ended by SIGTERM; the same command continues it")
    return Failed(f"{stage.name} was killed by {name} ({128 - code}); see {log}")
