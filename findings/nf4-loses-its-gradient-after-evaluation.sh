#!/usr/bin/env bash
# bitsandbytes: on CPUs with AVX512-BF16 (Zen 4 and 5, Sapphire Rapids) a 4-bit layer that was
# evaluated once passes no gradient any more, and is computed in bfloat16 whatever was asked for.
#
# Expected: a model that was put to eval() for a validation loss and back to train() trains on as
# before; Linear4bit with compute_dtype=float32 gives float32's digits in both; any size works.
# Seen: the first forward in eval() without gradients repacks the weights in place for a fused kernel.
# The layer keeps them packed in train(): its outputs carry bfloat16's error and its inputs get no
# gradient (adapters below it stop learning, only a warning tells). A layer whose number of outputs is
# no multiple of 32, such as the gate of a shared expert with one, fails in eval() with an AssertionError.
# On other CPUs there is nothing to see. Work-around: layer.support_avx512bf16_for_cpu = False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    torch==2.13.0 bitsandbytes==0.50.2 numpy >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys

import bitsandbytes
import torch
from bitsandbytes.functional import has_avx512bf16
from bitsandbytes.nn import Linear4bit, Params4bit

print(f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}")
if not has_avx512bf16():
    print("this CPU has no AVX512-BF16: not shown")
    sys.exit()


def layer(outputs: int, fused: bool = True) -> Linear4bit:
    torch.manual_seed(0)
    made = Linear4bit(128, outputs, bias=False, compute_dtype=torch.float32, quant_type="nf4")
    weights = torch.randn(outputs, 128)
    made.weight = Params4bit(weights, requires_grad=False, quant_type="nf4", module=made)
    made.support_avx512bf16_for_cpu = fused
    return made.to("cpu")


def gradient(made: Linear4bit) -> float:
    inputs = torch.ones(4, 128, requires_grad=True)
    made.train()(inputs).sum().backward()
    return 0.0 if inputs.grad is None else inputs.grad.abs().sum().item()


inputs = torch.randn(4, 128)
lost = []
for fused in (True, False):
    one = layer(64, fused)
    before, learned = one.train()(inputs), gradient(one)
    with torch.no_grad():
        one.eval()(inputs)
    error = (one.train()(inputs) - before).abs().max().item()
    after = gradient(one)
    print(f"fused kernel {fused}: outputs moved by {error:.3f}, gradient {learned:.0f} -> {after:.0f}")
    lost.append(error > 0.01 and learned > 0 and after == 0)
try:
    with torch.no_grad():
        layer(1).eval()(inputs)
    refused = False
except AssertionError as error:
    refused = True
    print(f"one output: AssertionError, {error}")
sys.exit(not (lost == [True, False] and refused))
PYTHON
echo "unchanged: where AVX512-BF16 is, one evaluation ends the gradient"
