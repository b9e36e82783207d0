"""Provenance: what made a result (versions, commit, machine), without importing what it names."""

import os
import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import kollama2

PACKAGES = (
    "accelerate", "bitsandbytes", "datasets", "huggingface_hub", "numpy", "peft", "pyarrow",
    "pydantic", "safetensors", "sentencepiece", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip
CPUINFO = Path("/proc/cpuinfo")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL", re.I)
_SECRET_TEXT = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|(?<=Bearer )\S{8,}"
    r"|(?<=[?&])(?:X-Amz-\w+|Signature|Policy|Key-Pair-Id|token|sig)=[^\s&\"']+",
    re.I,
)


def provenance(threads: int) -> dict[str, Any]:
    """What a result is made with, by a stage of so many CPU threads, as `done.json` says it."""
    return {
        "kollama2": kollama2.__version__,
        "git": git_commit(),
        "python": platform.python_version(),
        "packages": packages(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpu_names(),
    }


@cache
def packages() -> dict[str, str]:
    """Installed versions of the packages that shape results; one that is missing is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str | None:
    """The commit of kollama2's own checkout, with `+` for uncommitted changes; None elsewhere."""
    folder = Path(kollama2.__file__).parent
    if not any((parent / ".git").exists() for parent in folder.parents[:3]):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}+" if _git(folder, "status", "--porcelain", "--", ".") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    # A look at the tree must not refresh its index: killed in between, it would leave a lock.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


@cache
def cpu_model() -> str:
    """The processor's own name for itself."""
    return told(CPUINFO, "model name") or platform.processor() or platform.machine()


def gpu_names() -> list[str]:
    """The names of the NVIDIA cards here, asked of the driver and not of torch."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [name for file in files if (name := told(file, "Model"))]


def told(file: Path, *names: str) -> str:
    """What a file of Linux' `/proc` tells under one of these names; nothing elsewhere."""
    if not file.is_file():
        return ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_gpu_memory_bytes() -> int | None:
    """The largest memory that torch held on the current GPU so far; None where it used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


def cpu_seconds() -> float:
    """Processor seconds of this process and its finished children so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def redact(text: str) -> str:
    """Blot out secrets: values of variables named like one, hub tokens, signed parts of links."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return _SECRET_TEXT.sub("***", text)
