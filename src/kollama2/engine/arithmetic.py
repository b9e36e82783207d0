"""Arithmetic: what this machine computes fast, asked of its processors without loading torch."""

import os
import subprocess
import sys
from functools import cache
from typing import Literal

from kollama2.engine.provenance import CPUINFO, gpu_names, told

Dtype = Literal["float32", "bfloat16"]

_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux names the instructions on x86 and Arm; a CPU without them is ten times slower."""
_AMPERE = 8.0
"""The compute capability from which NVIDIA's cards have bfloat16."""
_MULTIPLY = """
import time, numpy
square, tries = numpy.ones((768, 768), numpy.float32), []
for _ in range(5):
    start = time.perf_counter(); square @ square; tries.append(time.perf_counter() - start)
print(2 * 768**3 / min(tries))
"""


def fast_dtype(device: str = "auto") -> Dtype:
    """bfloat16 where the processor that a profile means has instructions for it, else float32.

    By what the processor says of itself and not by a clock, so that the same machine always gives
    the same answer, and with it the same key.
    """
    if device != "cpu" and gpu_names():
        capable = all(one >= _AMPERE for one in _capabilities())
    else:
        capable = not _BFLOAT16.isdisjoint(_cpu_flags())
    return "bfloat16" if capable else "float32"


def cpu_flops(threads: int) -> float | None:
    """Multiplications and additions a second of float32 matrices; None where they cannot be timed.

    In a process of its own, because the number of threads is fixed when a library is loaded.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads))}
    try:
        said = subprocess.run(
            [sys.executable, "-c", _MULTIPLY],
            env=env, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return float(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


@cache
def _cpu_flags() -> frozenset[str]:
    return frozenset(told(CPUINFO, "flags", "Features").split())


@cache
def _capabilities() -> tuple[float, ...]:
    """Of the cards, as the driver's own tool tells them; none where it does not."""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return tuple(float(line) for line in said.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
