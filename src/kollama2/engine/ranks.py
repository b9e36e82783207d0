"""Ranks: one stage computed by several processes under torchrun."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kollama2.engine import commit
from kollama2.engine.failure import Failed, fault_of
from kollama2.engine.identity import alive, identity
from kollama2.engine.profile import Resources
from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store
from kollama2.errors import Fault
from kollama2.records.read import Json, read

_METRICS, _PROGRESS, _FAULT = "metrics.json", "told.json", "fault.json"


def run(stage: Stage, work: Work, root: Path) -> Mapping[str, Any]:
    """Run a stage as `work.resources.gpus` processes and return the metrics of the first.

    Raises:
        Failed: a rank ended with an error; what they printed is in `log.txt`.
        Fault: what the first rank says is wrong.
    """
    for name in (_METRICS, _PROGRESS, _FAULT):
        (work.scratch / name).unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        f"--nproc-per-node={work.resources.gpus}", "-m", "kollama2.engine",
        str(work.out / "stage.json"), "--store", str(root), "--module", type(stage).__module__,
        "--resources", work.resources.model_dump_json(), "--rank-of", json.dumps(identity()),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(work.resources.threads)}
    with (work.out / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            _follow(process, work)
        finally:
            process.terminate()
            process.wait()
    if (work.scratch / _FAULT).is_file():
        code, message = read(work.scratch / _FAULT, tuple[int, str])
        raise fault_of(code, message)
    if process.returncode or not (work.scratch / _METRICS).is_file():
        raise Failed(
            f"{stage.name} stopped in one of its {work.resources.gpus} processes "
            f"(exit {process.returncode}; what they printed: {work.out / 'log.txt'})"
        )
    return read(work.scratch / _METRICS, Json)


def run_rank(stage: Stage, store: Store, resources: Resources, leader: dict[str, Any]) -> int:
    """Be one of the processes that `run` starts, as long as the holder of the lease lives.

    Returns:
        0, or the exit code of the fault that it left where `run` finds it.
    """
    first = os.environ.get("RANK", "0") == "0"
    threading.Thread(target=_die_with, args=(leader,), daemon=True).start()
    out = store.partial(stage)
    scratch = out / "scratch"

    def tell(figures: dict[str, Any]) -> None:
        if first:
            commit.write_json(scratch / _PROGRESS, figures, durable=False)

    # Comparing all content once is enough: if it is damaged, the first rank ends the others.
    inputs = store.input if first else store.path
    try:
        metrics = stage.run(Work(out, scratch, resources, inputs, tell))
    except Fault as fault:
        commit.write_json(scratch / _FAULT, [fault.exit_code, str(fault)])
        return fault.exit_code
    if first:
        commit.write_json(scratch / _METRICS, dict(metrics))
    return 0


def _follow(process: "subprocess.Popen[bytes]", work: Work) -> None:
    told, file = "", work.scratch / _PROGRESS
    while process.poll() is None:
        time.sleep(0.2)
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if text != told:
            told = text
            work.tell(json.loads(text))


def _die_with(leader: dict[str, Any]) -> None:
    while alive(leader) is not False:
        time.sleep(1)
    os._exit(1)
