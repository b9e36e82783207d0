#!/usr/bin/env bash
# torch: fused attention on a CPU answers zeros to a NaN query while there are few keys.
#
# Expected: a query that is NaN gives NaN, as in the plain kernel, so that a broken model is noticed.
# Seen: with fewer keys than a vector register holds floats (16 with AVX-512), the fused kernel, which
# is the default, gives zeros for it, causal or not, in float32 and bfloat16; with more keys NaN. So a
# model whose rotary table is NaN passes a trial of a few tokens, and fails later in the text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as attend

print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")


def broken(keys, dtype, backend=None):
    """The share of NaN queries whose answer is NaN."""
    torch.manual_seed(0)
    key, value = (torch.randn(1, 2, keys, 16, dtype=dtype) for _ in range(2))
    query = torch.full_like(key, float("nan"))
    with sdpa_kernel(backend or [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        made = attend(query, key, value, is_causal=True)
    return made.isnan().all(-1).float().mean().item()


seen = []
for dtype in (torch.float32, torch.bfloat16):
    for keys in (1, 4, 7, 64):
        plain, fused = broken(keys, dtype, SDPBackend.MATH), broken(keys, dtype)
        print(f"{dtype}, {keys:2} NaN queries: NaN in {plain:.0%} of answers, fused {fused:.0%}")
        seen.append((plain, fused) == (1, keys == 64))
sys.exit(not all(seen))
PYTHON
echo "unchanged: fused attention hides NaN queries where there are few keys"
