"""Useful tokens per second of kollama2's loop against TRL's SFTTrainer called directly.

    python bench/train.py [--json] [--dtype bfloat16] [--repeats 3] [--steps 12]

Two cores, a Llama of 5.8 M parameters with a vocabulary of 4,096, rows as long as Korean
instructions are (log-normal: mean 176 tokens, 95 % below 488, at most 1,024), loss on the answers.
Each side lives in a process of its own, as a user would start it; they take turns, and the answer
is the median of the ratios of neighbouring turns, so that a busy machine disturbs both sides alike.
Beside the clock's ratio stands that of the processors' time, which other programs disturb less.
Gradient checkpointing, which TRL turns on by default, is off on both sides.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

BATCH, MAX_LENGTH, VOCABULARY = 8, 1024, 4096
Seconds = tuple[float, float]
SIDES = ("kollama2", "trl default", "trl grouped")


def timed(call: Callable[[], object]) -> Seconds:
    """Seconds of the clock and of the processors that a call takes."""
    clock, processors = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processors


def lengths(steps: int, seed: int = 0) -> np.ndarray:
    """Tokens of the rows of so many batches: log-normal with median 127 and mean 176.

    `train_sampling_strategy="group_by_length"` sorts within 50 batches, but on few rows within
    fewer. So the rows are whole batches picked evenly from 50 sorted ones, and the grouped side
    reads them sorted: it wastes as little on them (4 %) as it would on a large corpus.
    """
    count = 50 * BATCH
    sigma = (2 * np.log(176 / 127)) ** 0.5
    normal = np.array([NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)])
    drawn = np.exp(np.log(127) + sigma * normal).round().clip(8, MAX_LENGTH).astype(int)
    picked = ((np.arange(steps) + 0.5) * 50 / steps).astype(int)
    return np.random.default_rng(seed).permutation(drawn.reshape(50, BATCH)[picked].ravel())


def prepare_inputs(folder: Path, steps: int) -> None:
    """Write the model and the rows that both sides read."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAX_LENGTH,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    random = np.random.default_rng(1)
    ids = [random.integers(3, VOCABULARY, n).tolist() for n in lengths(steps)]
    write_rows(folder, ids, [[-100] * (len(row) // 3) + row[len(row) // 3 :] for row in ids])


def write_rows(folder: Path, ids: list[list[int]], labels: list[list[int]]) -> None:
    """Write encoded rows as the loop reads them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {
        "id": [str(i) for i in range(len(ids))],
        "input_ids": pa.array(ids, pa.list_(pa.int32())),
        "labels": pa.array(labels, pa.list_(pa.int32())),
        "bytes": [3 * len(row) for row in ids],
        "ko_bytes": [3 * len(row) for row in ids],
    }
    (folder / "rows").mkdir()
    pq.write_table(pa.table(table), folder / "rows" / "rows.parquet")


def ours(folder: Path, method: str, dtype: str, threads: int) -> Seconds:
    """Seconds of one epoch in kollama2's loop."""
    from kollama2.engine.profile import Resources
    from kollama2.train.batches import BatchPlan, Rows
    from kollama2.train.loop import Loop
    from kollama2.train.prepare import prepare
    from kollama2.train.record import TrainCurve
    from kollama2.train.settings import TrainSettings

    settings = TrainSettings(
        method=method, batch=BATCH, epochs=1, dtype=dtype, max_length=MAX_LENGTH, lr=1e-4
    )
    resources = Resources(threads=threads, device="cpu")
    plan = BatchPlan(Rows(folder / "rows"), settings)
    with tempfile.TemporaryDirectory() as scratch:
        loop = Loop(
            settings,
            plan,
            prepare(folder / "model", settings, "cpu"),
            resources,
            Path(scratch),
        )
        record = TrainCurve(Path(scratch) / "metrics.jsonl", plan, 0, lambda *_, **__: None)
        loop.add_callback(record)
        seconds = timed(loop.run)
        record.close()
        return seconds


def trl(folder: Path, method: str, dtype: str, grouped: bool) -> Seconds:
    """Seconds of one epoch in SFTTrainer as its documentation shows it."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    words = {"<unk>": 0, "<s>": 1, "</s>": 2}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<unk>")),
        eos_token="</s>",
        pad_token="<unk>",
    )
    stored = Dataset.from_parquet(
        str(folder / "rows" / "rows.parquet"), cache_dir=str(folder / "cache")
    )
    stored = stored.select_columns(["input_ids", "labels"])
    if grouped:
        longest_first = np.argsort([-len(row) for row in stored["input_ids"]], kind="stable")
        stored = stored.select(longest_first)
    narrow = torch.bfloat16 if dtype == "bfloat16" and method == "lora" else torch.float32
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder / "model", dtype=narrow),
            args=SFTConfig(
                output_dir=scratch,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1,
                max_length=MAX_LENGTH,
                learning_rate=1e-4,
                bf16=dtype == "bfloat16",
                activation_checkpointing=False,
                gradient_checkpointing=False,
                train_sampling_strategy="sequential" if grouped else "random",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=stored,
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
            )
            if method == "lora"
            else None,
        )
        trainer.remove_callback(PrinterCallback)
        return timed(trainer.train)


def worker(link: Connection, folder: Path, side: str, dtype: str, threads: int) -> None:
    """Answer each method with the seconds of one epoch, until the link closes."""
    import warnings

    import torch

    warnings.simplefilter("ignore", FutureWarning)
    torch.set_num_threads(threads)
    while (method := link.recv()) is not None:
        if side == "kollama2":
            link.send(ours(folder, method, dtype, threads))
        else:
            link.send(trl(folder, method, dtype, side == "trl grouped"))


def measure(dtype: str, repeats: int, threads: int, steps: int) -> dict[str, Any]:
    """Take turns and compare."""
    useful = int(lengths(steps).sum())
    os.environ["OMP_NUM_THREADS"] = str(threads)
    context = multiprocessing.get_context("spawn")
    answer: dict[str, Any] = {"dtype": dtype, "threads": threads, "tokens": useful, "methods": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_inputs(folder, steps)
        links = {}
        for side in SIDES:
            links[side], far = context.Pipe()
            process = context.Process(
                target=worker, args=(far, folder, side, dtype, threads), daemon=True
            )
            process.start()
        for method in ("full", "lora"):
            turns: dict[str, list[Seconds]] = {side: [] for side in SIDES}
            for turn in range(repeats + 1):
                for side in SIDES:
                    links[side].send(method)
                    seconds = links[side].recv()
                    if turn:  # the first turn warms up
                        turns[side].append(seconds)
                    print(f"{method} {side}: {useful / seconds[0]:.0f} tokens/s", file=sys.stderr)
            answer["methods"][method] = compare(turns, useful)
        for link in links.values():
            link.send(None)
    return answer


def compare(turns: dict[str, list[Seconds]], useful: int) -> dict[str, Any]:
    """Median speeds, and medians of the ratios of neighbouring turns."""

    def ratio(other: str, which: int) -> float:
        pairs = zip(turns[other], turns["kollama2"], strict=True)
        return statistics.median(theirs[which] / mine[which] for theirs, mine in pairs)

    return {
        "tokens_per_second": {
            side: statistics.median(useful / clock for clock, _ in found)
            for side, found in turns.items()
        },
        "ratio": {other: ratio(other, 0) for other in SIDES[1:]},
        "processor_ratio": {other: ratio(other, 1) for other in SIDES[1:]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12, help=f"batches of {BATCH} rows in a turn")
    options = parser.parse_args()
    answer = measure(options.dtype, options.repeats, options.threads, options.steps)
    if options.json:
        print(json.dumps(answer, indent=1))
        return
    print(f"{answer['dtype']}, {answer['threads']} threads, {answer['tokens']} tokens in a turn")
    for method, found in answer["methods"].items():
        for side in SIDES:
            line = f"{method:5}{side:>13}{found['tokens_per_second'][side]:>8.0f} tokens/s"
            if side in found["ratio"]:
                clock, processors = found["ratio"][side], found["processor_ratio"][side]
                line += (
                    f"   kollama2 is {clock:.2f} x as fast ({processors:.2f} x by processor time)"
                )
            print(line)


if __name__ == "__main__":
    main()
