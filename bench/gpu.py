"""What a GPU makes of kollama2, beside TRL, plain PEFT, lm-eval, transformers and vLLM.

    python bench/gpu.py [--minutes 8] [--out gpu.json] [--dry] [--study STORE]

Llamas of 7 and of 1 billion parameters with random weights in bfloat16: full fine-tuning, LoRA and
QLoRA on rows as long as Korean instructions are, scoring of items with four choices, generation.
A side whose packages are missing, or that needs more memory than there is, says so in its row. Each
measurement has a process of its own; those that matter most come first, and what does not fit into
the minutes is named. The file is written anew after each, so that an end loses nothing. `--dry`
does the same with a tiny model on any machine, to see that everything runs. With `--study` the rest
of the time goes into `studies/smollm2-core.yaml`, whose stages stay in that store.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sides

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

PACKAGES = (
    "torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "liger-kernel",
    "flash-attn", "lm-eval", "vllm",
)  # fmt: skip
# Dense bfloat16 operations a second, from the vendors' data sheets.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
TRAINERS = ("kollama2", "trl", "trl best", "peft")
LEAST = 20  # seconds without which no measurement is begun


def jobs(dry: bool) -> Iterator[dict[str, Any]]:
    """What is measured, that which matters most first."""
    steps, items, new = (2, 4, 8) if dry else (12, 200, 128)

    def training(shape: str, method: str, checkpointing: bool = False) -> Iterator[dict[str, Any]]:
        for side in TRAINERS:
            yield {
                "part": "train", "shape": shape, "method": method, "side": side, "steps": steps,
                "checkpointing": checkpointing, "what": f"{method}, tokens/s",
            }  # fmt: skip

    small, large = ("tiny", "tiny") if dry else ("1b", "7b")
    for method in ("lora", "full", "qlora"):
        yield from training(small, method)
    for side in ("kollama2", "lm-eval"):
        yield {"part": "score", "shape": small, "side": side, "items": items,
               "batch_tokens": 512 if dry else 16_384, "what": "four choices, items/s"}  # fmt: skip
    for batch in (1, 8):
        for side in ("kollama2", "transformers", "vllm"):
            yield {"part": "generate", "shape": small, "side": side, "batch": batch, "new": new,
                   "what": f"batch {batch}, tokens/s"}  # fmt: skip
    if not dry:
        for method in ("lora", "qlora"):
            yield from training(large, method)
        yield from training(large, "full", checkpointing=True)


def here() -> dict[str, Any]:
    """The machine and the versions that a table is worth nothing without."""
    import torch

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    peak = next((speed for name, speed in PEAKS.items() if gpu and name in gpu), None)
    return {
        "date": date.today().isoformat(),
        "device": gpu or f"CPU {platform.machine()}, {os.cpu_count()} cores",
        "peak_flops": peak,
        "python": platform.python_version(),
        "packages": found,
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All measurements that the minutes allow."""
    ends = time.monotonic() + 60 * arguments.minutes
    found: dict[str, Any] = {**here(), "dry": arguments.dry, "rows": [], "left_out": []}
    with tempfile.TemporaryDirectory() as models:
        for job in jobs(arguments.dry):
            left = ends - time.monotonic()
            if left < (LEAST if not arguments.dry else 0):
                found["left_out"].append(named(job))
                continue
            model = Path(models) / job["shape"]
            job |= {"model": str(model), "dtype": "bfloat16"}
            if not model.exists():
                made = sides.measured({**job, "part": "write"}, left)
                if "error" in made:
                    print(f"{job['shape']}: no model: {made['error']}", file=sys.stderr)
            answer = sides.measured(job, max(1.0, ends - time.monotonic()))
            found["rows"].append({**job, **answer})
            print(f"{named(job)}: {answer}", file=sys.stderr, flush=True)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if arguments.study:
        found["study"] = study(arguments.study, ends - time.monotonic())
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def named(job: dict[str, Any]) -> str:
    return f"{job['part']} {job['shape']} {job['what'].split(',')[0]} {job['side']}"


def study(store: Path, seconds: float) -> str:
    """The real study for the rest of the time; how it ended."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "kollama2", "run", str(root / "studies/smollm2-core.yaml"),
               "--mirrors", str(root / "studies/smollm2.mirrors.yaml"),
               "--store", str(store)]  # fmt: skip
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            process.terminate()
            code = process.wait(60)
    return "computed" if code == 0 else f"ended with {code}; the same command continues"


def table(found: dict[str, Any]) -> str:
    """A row for each comparison; the ratio is kollama2's speed to that of the best other side."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in found["rows"]:
        groups.setdefault((row["shape"], row["what"]), {})[row["side"]] = row
    packages = ", ".join(f"{name} {it}" for name, it in found["packages"].items() if it)
    lines = [
        f"{found['date']}, {found['device']}, Python {found['python']}, {packages}", "",
        "| shape | what | kollama2 | MFU | peak GB | others | × best |",
        "|---|---|--:|--:|--:|---|--:|",
    ]  # fmt: skip
    for (shape, what), group in groups.items():
        ours = group.get("kollama2", {})
        others = [row for name, row in group.items() if name != "kollama2"]
        best = max((row["speed"] for row in others if "speed" in row), default=None)
        ratio = f"{ours['speed'] / best:.2f}" if best and "speed" in ours else "–"
        used = found["peak_flops"] and ours.get("flops")
        mfu = f"{ours['flops'] / found['peak_flops']:.0%}" if used else "–"
        lines.append(
            f"| {shape} | {what} | {shown(ours)} | {mfu} | {ours.get('peak', 0) / 1e9:.1f} | "
            + "; ".join(f"{row['side']} {shown(row)} ({row.get('peak', 0) / 1e9:.1f} GB)"
                        for row in others)
            + f" | {ratio} |"
        )  # fmt: skip
    if found["left_out"]:
        lines += ["", "No time was left for: " + "; ".join(found["left_out"]) + "."]
    return "\n".join(lines)


def shown(row: dict[str, Any]) -> str:
    return f"{row['speed']:,.0f}" if "speed" in row else row.get("error", "–")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--dry", action="store_true", help="a tiny model, on any machine")
    parser.add_argument("--study", type=Path, help="store of studies/smollm2-core.yaml")
    arguments = parser.parse_args()
    found = run(arguments)
    print(table(found))
    return int(not any("speed" in row for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())
