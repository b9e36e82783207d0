"""Useful tokens a second and memory of kollama2's training beside TRL's SFTTrainer called directly.

    python bench/train.py [--shape smollm2] [--methods full,lora] [--repeats 3] [--steps 12]

Random weights of a shape (`sides.SHAPES`), rows as long as Korean instructions are (log-normal:
mean 176 tokens, 95 % below 488, at most 1,024), loss on the answers. TRL as its documentation shows
it, and with its rows sorted by length, its fastest here. Each measurement is a process of its own,
which warms up with a first epoch and measures a second; sides take turns, and the answer is the
median of the ratios of neighbouring turns, so that a busy machine disturbs both alike. Beside the
clock's ratio stands that of the processors' time, which other programs disturb less. Peak memory is
that of the process. Gradient checkpointing, which TRL turns on by default, is off on both sides.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import sides

SIDES = ("kollama2", "trl", "trl best")
LONGEST = 3600  # seconds of a measurement


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Take turns; every answer by method and side."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        job = {
            "part": "write", "shape": options.shape, "dtype": options.dtype, "steps": options.steps,
            "model": str(Path(folder) / options.shape), "checkpointing": False,
        }  # fmt: skip
        if "error" in (made := sides.measured(job, LONGEST)):
            sys.exit(f"no model of the shape {options.shape}: {made['error']}")
        for method in options.methods.split(","):
            turns: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
            for _ in range(options.repeats):
                for side in SIDES:
                    asked = {**job, "part": "train", "method": method, "side": side}
                    answer = sides.measured(asked, LONGEST)
                    print(f"{method} {side}: {answer}", file=sys.stderr, flush=True)
                    if "speed" not in answer:
                        sys.exit(f"{method}, {side}: {answer['error']}")
                    turns[side].append(answer)
            found[method] = turns
    return found


def table(found: dict[str, Any], options: argparse.Namespace) -> str:
    """A row for each method and side."""
    lines = [
        f"{options.shape}, {options.dtype}, {options.threads} threads, {options.repeats} turns", "",
        "| method | side | tokens/s | kollama2 is | by processors | peak GB | of its peak |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for method, turns in found.items():
        for side, theirs in turns.items():
            speed = statistics.median(one["speed"] for one in theirs)
            peak = max(one["peak"] for one in theirs)
            pairs = list(zip(turns["kollama2"], theirs, strict=True))
            clock, processors = (
                statistics.median(mine[kind] / other[kind] for mine, other in pairs)
                for kind in ("speed", "by_processor")
            )
            share = max(one["peak"] for one in turns["kollama2"]) / peak
            ratios = f"{clock:.2f} × | {processors:.2f} × | {peak / 1e9:.2f} | {share:.2f}"
            if side == "kollama2":
                ratios = f" | | {peak / 1e9:.2f} | "
            lines.append(f"| {method} | {side} | {speed:.0f} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sides.SHAPES, default="miniature")
    parser.add_argument("--methods", default="full,lora")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12, help="batches of rows in an epoch")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    found = measure(options)
    print(json.dumps(found, indent=1) if options.json else table(found, options))


if __name__ == "__main__":
    main()
