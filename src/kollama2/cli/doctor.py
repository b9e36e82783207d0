"""`kollama2 doctor`: what this machine has, what is missing, and what that means."""

import os
import shutil
import time
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

import typer

from kollama2.cli.console import STORE, JsonOption, StoreOption, out, print_json

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes")
GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `level` is ok, note or wrong."""

    what: str
    level: str
    says: str


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """Check packages, devices, memory, disk and hub access.

    The exit code is 69 if something is missing.
    """
    findings = examine(store)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        signs = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "wrong": "[red]wrong[/]"}
        for finding in findings:
            out().print(f"{signs[finding.level]} {finding.what}: {finding.says}")
    if any(finding.level == "wrong" for finding in findings):
        raise typer.Exit(69)


def examine(store: Path) -> list[Finding]:
    """Look at everything a study needs.

    Args:
        store: the folder where results would go.

    Returns:
        The findings, worst not first but in the order of a set-up.
    """
    return [*_packages(), *_devices(), *_machine(store), *_hub()]


def _packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        try:
            findings.append(Finding(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            findings.append(Finding(name, "wrong", f"not installed; pip install {name}"))
    return findings


def _devices() -> list[Finding]:
    if util.find_spec("torch") is None:
        return []
    import torch

    if not torch.cuda.is_available():
        capability = torch.backends.cpu.get_cpu_capability()
        gpu = Finding(
            "GPU", "note", f"none; training on the CPU ({capability}), fit for small models"
        )
    else:
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        gpu = Finding(
            "GPU", "ok", ", ".join(f"{c.name} {c.total_memory // GIB} GiB" for c in cards)
        )
    return [gpu, *([] if torch.cuda.is_available() else [_bfloat16()]), _qlora()]


def _bfloat16() -> Finding:
    """Multiply for real: instruction sets have too many names to ask for."""
    import torch

    from kollama2.engine.arithmetic import fast_dtype

    def seconds(dtype: torch.dtype) -> float:
        square, tries = torch.ones(512, 512, dtype=dtype), []
        for _ in range(3):
            start = time.perf_counter()
            square @ square
            tries.append(time.perf_counter() - start)
        return min(tries)

    ratio = seconds(torch.bfloat16) / seconds(torch.float32)
    takes = f"adapt computes in {fast_dtype('cpu')}"
    if ratio <= 1:
        said = f"{1 / ratio:.1f} times as fast as float32 here; {takes}"
        return Finding("bfloat16", "ok", said)
    said = f"{ratio:.1f} times slower than float32 here; {takes}, a study should say float32"
    return Finding("bfloat16", "note", said)


def _qlora() -> Finding:
    """Quantise one block for real: an import alone does not prove that a kernel is there."""
    import torch

    try:
        from bitsandbytes.functional import quantize_4bit

        quantize_4bit(torch.ones(64, 64), quant_type="nf4")
    except (ImportError, RuntimeError, OSError, NotImplementedError) as error:
        return Finding("QLoRA", "note", f"not on this platform ({error}); full and LoRA work")
    return Finding("QLoRA", "ok", "bitsandbytes quantises to NF4 here")


def _machine(store: Path) -> list[Finding]:
    import psutil

    memory = psutil.virtual_memory().total / GIB
    place = next((p for p in (store, *store.resolve().parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(place).free / GIB
    writable = os.access(place, os.W_OK)
    return [
        Finding("CPU", "ok", f"{os.cpu_count()} cores"),
        Finding("memory", "ok" if memory >= 4 else "note", f"{memory:.0f} GiB"),
        Finding("disk", "ok" if free >= 5 else "note", f"{free:.0f} GiB free at {place}"),
        Finding(
            "store",
            "ok" if writable else "wrong",
            f"{store} {'can' if writable else 'cannot'} be written",
        ),
    ]


def _hub() -> list[Finding]:
    token = (
        "a token is set" if os.environ.get("HF_TOKEN") else "no HF_TOKEN (gated models need one)"
    )
    mirrors = os.environ.get("KOLLAMA2_MIRRORS")
    says = f"{token}; mirrors file {mirrors}" if mirrors else token
    return [Finding("hub", "ok" if os.environ.get("HF_TOKEN") or mirrors else "note", says)]
