"""Seconds of kollama2's scorer against lm-eval's Hugging Face backend on the same tasks.

    python bench/evaluate.py --kobest FOLDER (--tokenizer FILE | --model MODEL)
        [--examples none|default|fixed] [--task NAME] [--items N] [--batch 1] [--repeats 1]
        [--threads 2] [--side kollama2|lm-eval] [--json]

KoBEST's five tasks with one prompt each, on a model, or on a random Llama of 15.2 M parameters with
the vocabulary of Llama 2 (random weights cost the same time as trained ones): without examples,
with five examples drawn anew for every item (lm-eval's default), and with the same five before all
items. Both sides run through lm-eval's own `evaluate` on the same task files, in turns, task by
task, so that a busy machine disturbs both alike; beside the clock's ratio stands that of the
processors' time, which other programs disturb less; of several repeats the quickest counts. The
last columns say how far the log-likelihoods lie apart and in how many items both sides choose the
same. With `--side` one side runs alone, and the peak of the process's memory (MiB) is told before
and after each task; a process keeps its peak, so name one task.
"""

import argparse
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

TASKS = {
    "boolq": "BoolQ",
    "copa": "COPA",
    "hellaswag": "HellaSwag",
    "sentineg": "SentiNeg",
    "wic": "WiC",
}
# How many examples, how they are chosen, and items of each task.
SETTINGS = {"none": (0, "default", 24), "default": (5, "default", 6), "fixed": (5, "fixed", 10)}


def model_and_tokenizer(pieces: Path, scratch: Path) -> tuple[Any, Any]:
    import shutil

    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from kollama2.model.pieces import write_fast

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=288,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        max_position_embeddings=8_192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    shutil.copy(pieces, scratch / "tokenizer.model")
    about = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (scratch / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    write_fast(scratch)
    return model, AutoTokenizer.from_pretrained(scratch)


def real(name: str) -> tuple[Any, Any]:
    """A model of its own, in float32; a GGUF file is unpacked at its first use."""
    from kollama2.model.find import find_model
    from kollama2.model.load import load_model

    folder = find_model(name)
    return load_model(folder.path, dtype="float32", device="cpu"), folder.plain_tokenizer


def timed(lm: Any, task: Any, items: int) -> tuple[float, float, list[Any]]:
    """Seconds of clock and processors, and every response."""
    from lm_eval import evaluator

    clock, processors = time.perf_counter(), time.process_time()
    found = evaluator.evaluate(
        lm,
        {"tasks": {task.name: task.task}, "groups": {}, "group_map": {}},
        limit=items,
        bootstrap_iters=0,
    )
    seconds = time.perf_counter() - clock, time.process_time() - processors
    return *seconds, [one["filtered_resps"] for one in found["samples"][task.name]]


def compared(ours: list[Any], theirs: list[Any]) -> tuple[float, float]:
    """The largest difference of two log-likelihoods, and the share of items with one choice."""
    pairs = [
        pair
        for one, other in zip(ours, theirs, strict=True)
        for pair in zip(one, other, strict=True)
    ]
    best = [
        max(range(len(one)), key=lambda at: one[at][0])
        == max(range(len(other)), key=lambda at: other[at][0])
        for one, other in zip(ours, theirs, strict=True)
    ]
    return max(abs(one[0] - other[0]) for one, other in pairs), sum(best) / len(best)


def loaded(pieces: Path | None, real_model: str | None) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    if real_model is not None:
        return real(real_model)
    assert pieces is not None, "one of both is required"
    with tempfile.TemporaryDirectory() as scratch:
        return model_and_tokenizer(pieces, Path(scratch))


def side(name: str, model: Any, tokenizer: Any, batch: int) -> Any:
    """One of both models of lm-eval."""
    from lm_eval.models.huggingface import HFLM

    from kollama2.evaluation.lm import SharedContextLM

    if name == "kollama2":
        return SharedContextLM(model, tokenizer)
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)


def asked(
    kobest: Path, settings: list[str], names: list[str], items: int | None
) -> Iterator[tuple[dict[str, str], Any, int]]:
    """What a row says of its task, the task, and how many of its items are asked."""
    from kollama2.evaluation.kinds import Harness

    for shots, fewshot, size in (SETTINGS[name] for name in settings):
        for name in names:
            file = TASKS[name]
            task = Harness(
                name=name,
                measure_kind="harness",
                tasks=(f"ko_{name}_1",),
                data=str(kobest),
                files={"train": f"{file}.train.tsv", "test": f"{file}.dev.tsv"},
                num_fewshot=shots,
                fewshot=fewshot,
            )
            about = {"examples": f"{shots} {fewshot}" if shots else "0", "task": name}
            yield about, task, items or size


def peak() -> float:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(lm: Any, tasks: Iterable[tuple[dict[str, str], Any, int]]) -> list[dict[str, Any]]:
    from kollama2.evaluation.harness_tasks import load_tasks

    rows = []
    for about, task, items in tasks:
        one, before = load_tasks(task)[0], peak()
        timed(lm, one, items)
        rows.append({**about, "items": items, "before": before, "peak": peak()})
    return rows


def measure(
    model: Any,
    tokenizer: Any,
    tasks: Iterable[tuple[dict[str, str], Any, int]],
    batch: int,
    repeats: int,
) -> list[dict[str, Any]]:
    from kollama2.evaluation.harness_tasks import load_tasks

    both = [side(name, model, tokenizer, batch) for name in ("lm-eval", "kollama2")]
    rows = []
    for about, task, items in tasks:
        takes = [[timed(lm, load_tasks(task)[0], items) for lm in both] for _ in range(repeats)]
        theirs, ours = (
            (min(take[0] for take in one), min(take[1] for take in one), one[0][2])
            for one in zip(*takes, strict=True)
        )
        difference, same = compared(ours[2], theirs[2])
        rows.append(
            {
                **about,
                "items": len(ours[2]),
                "kollama2": ours[0],
                "lm-eval": theirs[0],
                "clock": theirs[0] / ours[0],
                "kollama2 cpu": ours[1],
                "lm-eval cpu": theirs[1],
                "processors": theirs[1] / ours[1],
                "difference": difference,
                "same choice": same,
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def totals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, and after each setting the sum over its tasks."""
    found = []
    for setting in dict.fromkeys(row["examples"] for row in rows):
        part = [row for row in rows if row["examples"] == setting]
        total: dict[str, Any] = {"examples": setting, "task": "all", "items": 0}
        for side in ("items", "kollama2", "lm-eval", "kollama2 cpu", "lm-eval cpu"):
            total[side] = sum(row[side] for row in part)
        total["clock"] = total["lm-eval"] / total["kollama2"]
        total["processors"] = total["lm-eval cpu"] / total["kollama2 cpu"]
        total["difference"] = max(row["difference"] for row in part)
        total["same choice"] = min(row["same choice"] for row in part)
        found += [*part, total]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kobest", type=Path, required=True, help="folder with KoBEST's TSV files")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--tokenizer", type=Path, help="Llama 2's tokenizer.model")
    which.add_argument("--model", help="a model folder, GGUF file or hf: id")
    parser.add_argument("--examples", choices=SETTINGS, help="only this setting")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task")
    parser.add_argument("--items", type=int, help="first items of each task")
    parser.add_argument("--batch", type=int, default=1, help="rows of a batch of lm-eval")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=["kollama2", "lm-eval"], help="only its memory")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    settings = [arguments.examples] if arguments.examples else list(SETTINGS)
    tasks = asked(arguments.kobest, settings, arguments.task or list(TASKS), arguments.items)
    model, tokenizer = loaded(arguments.tokenizer, arguments.model)
    if arguments.side:
        print(json.dumps(memory(side(arguments.side, model, tokenizer, arguments.batch), tasks)))
        return
    rows = totals(measure(model, tokenizer, tasks, arguments.batch, arguments.repeats))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(
        "| examples | task | items | kollama2 s | lm-eval s | × clock | × processors | Δ | same |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        print(
            f"| {row['examples']} | {row['task']} | {row['items']} | {row['kollama2']:.1f} "
            f"| {row['lm-eval']:.1f} | {row['clock']:.1f} | {row['processors']:.1f} "
            f"| {row['difference']:.0e} | {row['same choice']:.0%} |"
        )


if __name__ == "__main__":
    main()
