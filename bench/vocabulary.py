"""Seconds of a training step by the size of the vocabulary: what "equal time" means in a study.

    python bench/vocabulary.py [--sizes 2048,2548,3048,4048,4398] [--steps 6] [--repeats 3] [--json]

The body of the embedded miniature, full training in float32, steps of 8 x 256 tokens, two threads.
The sizes take turns in one process, so that a busy machine disturbs all alike; the answer is the
median over the turns, by the clock and by the processors' time, and the steps that take as long as
28 of the first size.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sides import LR, write_rows
from transformers import AutoConfig, LlamaForCausalLM

import kollama2.miniature
from kollama2.engine.profile import Resources
from kollama2.train.batches import BatchPlan, Rows
from kollama2.train.loop import Loop
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings

BATCH, LENGTH, COMPARED = 8, 256, 28
BODY = Path(kollama2.miniature.__file__).parent / "base" / "model"


def prepare_inputs(folder: Path, size: int, steps: int) -> None:
    """A model with so many rows in its tables, and full rows of random tokens for so many steps."""
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(BODY, vocab_size=size, dtype="float32")
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    ids = np.random.default_rng(0).integers(3, size, (steps * BATCH, LENGTH)).tolist()
    write_rows(folder, ids, ids)


def timed(folder: Path, threads: int) -> tuple[float, float]:
    """Seconds of one epoch in kollama2's loop, by the clock and by the processors' time."""
    settings = TrainSettings(
        method="full", batch=BATCH, epochs=1, dtype="float32", max_length=LENGTH, lr=LR
    )
    plan = BatchPlan(Rows(folder / "rows"), settings)
    network = prepare(folder / "model", settings, "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        resources = Resources(threads=threads, device="cpu")
        loop = Loop(settings, plan, network, resources, Path(scratch))
        clock, processors = time.perf_counter(), time.process_time()
        loop.run()
        return time.perf_counter() - clock, time.process_time() - processors


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2048,2548,3048,4048,4398")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    torch.set_num_threads(asked.threads)

    turns: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            folder = Path(scratch) / str(size)
            folder.mkdir()
            prepare_inputs(folder, size, asked.steps)
        for turn in range(asked.repeats + 1):  # the first one warms up
            for size in sizes:
                seconds = timed(Path(scratch) / str(size), asked.threads)
                if turn:
                    turns[size].append(seconds)

    def median(size: int, which: int) -> float:
        return statistics.median(turn[which] for turn in turns[size]) / asked.steps

    found = [
        {
            "size": size,
            "seconds": median(size, 0),
            "processor_seconds": median(size, 1),
            "steps": COMPARED * median(sizes[0], 1) / median(size, 1),
        }
        for size in sizes
    ]
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for one in found:
        print(
            f"{one['size']:6,.0f} tokens   {one['seconds']:.3f} s a step   "
            f"{one['processor_seconds']:.3f} s of the processors   "
            f"{one['steps']:.1f} steps in the time of {COMPARED}"
        )


if __name__ == "__main__":
    main()
