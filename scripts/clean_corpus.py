"""Clean a corpus of terabytes with datatrove: on this machine, on a Slurm cluster or on Ray.

    python scripts/clean_corpus.py TEXT OUT --tasks 16 --workers 8
    python scripts/clean_corpus.py TEXT OUT --tasks 1000 --slurm cpu --time 12:00:00 --venv ENV
    python scripts/clean_corpus.py TEXT OUT --tasks 1000 --ray

TEXT is a folder of text files that every machine sees, OUT a folder that every machine may write.
The same command continues after an interruption: finished tasks are not done again.
"""

import argparse
from pathlib import Path
from typing import Any

from kollama2.data.cluster import stages
from kollama2.data.tidy import Rules
from kollama2.evaluation.contamination import HeldOut


def main() -> None:
    """Read the arguments and hand the stages to an executor, each after the one before."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", type=int, default=1, help="parts the work is cut into")
    parser.add_argument("--workers", type=int, default=1, help="parts at the same time")
    parser.add_argument("--min-hangul", type=float, default=0.3)
    parser.add_argument("--held-out", type=Path, help="text file, one benchmark text a line")
    parser.add_argument("--slurm", metavar="PARTITION")
    parser.add_argument("--time", default="12:00:00", help="limit of a Slurm task")
    parser.add_argument("--venv", help="virtual environment to activate on the nodes")
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    held_out = None
    if given.held_out:
        texts = given.held_out.read_text(encoding="utf-8").splitlines()
        held_out = HeldOut(
            {"held out": [{"id": str(n), "text": one} for n, one in enumerate(texts)]}
        )
    rules = Rules(min_hangul=given.min_hangul)
    before: Any = None
    for name, parts, steps in stages(given.source, given.out, rules, held_out, given.tasks):
        logs = str(given.out / "logs" / name)
        before = executor(given, name, parts, steps, logs, before)
    before.run()  # runs what it depends on first


def executor(given: Any, name: str, parts: int, steps: Any, logs: str, before: Any) -> Any:
    """The executor of one stage that begins when the stage before it has finished."""
    from datatrove.executor import (
        LocalPipelineExecutor,
        RayPipelineExecutor,
        SlurmPipelineExecutor,
    )

    if given.slurm:
        return SlurmPipelineExecutor(
            steps,
            tasks=parts,
            time=given.time,
            partition=given.slurm,
            job_name=f"kollama2-{name}",
            venv_path=given.venv,
            workers=given.workers,
            logging_dir=logs,
            depends=before,
        )
    if given.ray:
        return RayPipelineExecutor(
            steps, tasks=parts, workers=given.workers, logging_dir=logs, depends=before
        )
    return LocalPipelineExecutor(
        steps, tasks=parts, workers=given.workers, logging_dir=logs, depends=before
    )


if __name__ == "__main__":
    main()
