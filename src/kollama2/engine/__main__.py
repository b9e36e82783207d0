"""Compute one stage by hand or from a scheduler: `python -m kollama2.engine FILE --store ROOT`."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kollama2.engine import ranks, worker
from kollama2.engine.failure import Failed
from kollama2.engine.profile import Resources
from kollama2.engine.store import Store, say_damage
from kollama2.errors import Fault, Missing
from kollama2.records.read import Json, read, unreadable


def main() -> int:
    """Compute the stage of a file; the record goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m kollama2.engine", description=__doc__)
    parser.add_argument("file", type=Path, help="a recipe, as every stage.json holds one")
    parser.add_argument("--store", type=Path, required=True, help="the folder of results")
    parser.add_argument("--resources", default="{}", help="what it may use, as JSON")
    parser.add_argument("--module", default=worker.STAGES, help="where its kind is defined")
    parser.add_argument("--rank-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        request = worker.Request(
            root=arguments.store,
            recipe=_recipe(arguments.file, arguments.module),
            module=arguments.module,
            resources=Resources.model_validate_json(arguments.resources),
        )
        if arguments.rank_of:
            worker.use_threads(request.resources.threads)
            stage = worker.read_stage(request.recipe, request.module)
            leader = json.loads(arguments.rank_of)
            return ranks.run_rank(stage, Store(request.root), request.resources, leader)
        with _output_to_stderr():
            record = worker.compute(request, say_damage, quiet=False)
    except Fault as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    print(json.dumps(record.plain(), ensure_ascii=False))
    return 0


def _recipe(file: Path, module: str) -> dict[str, Any]:
    """The recipe in a file, known to be one that can be read.

    Raises:
        Corrupt, Missing: it is damaged; a newer kollama2 wrote it.
        Failed: it is no recipe of this kollama2.
    """
    recipe = read(file, Json)
    try:
        worker.read_stage(recipe, module)
    except Failed as fault:
        trouble = unreadable(file, f"cannot be read: {fault}")
        raise (trouble if isinstance(trouble, Missing) else fault) from fault
    return recipe


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """What a stage prints is talk; only the record is data."""
    sys.stdout.flush()
    data = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(data, 1)
        os.close(data)


if __name__ == "__main__":
    sys.exit(main())
