#!/usr/bin/env bash
# transformers: PhiMoE and Qwen2-MoE ignore their sliding window with flash attention.
#
# Expected: a model attends to the same tokens whichever attention implementation computes it.
# Seen: eager and sdpa are right, as the window is in their mask. Fused kernels get no mask but the
# argument `sliding_window`, which these two families do not pass on (Mixtral and Qwen3-MoE do):
# each token attends to all before it. Shown with an attention function of the script's own,
# registered with flash attention's mask, and needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys

import torch
import transformers
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers import MixtralConfig, PhimoeConfig, Qwen2MoeConfig
from transformers.masking_utils import flash_attention_mask

window = 4


def fused(module, query, key, value, mask, scaling, sliding_window=None, **_):
    groups = query.shape[1] // key.shape[1]
    key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    back = torch.arange(query.shape[2])[:, None] - torch.arange(key.shape[2])
    seen = (back >= 0) & (back < (sliding_window or key.shape[2]))
    made = torch.nn.functional.scaled_dot_product_attention(query, key, value, seen, scale=scaling)
    return made.transpose(1, 2), None


AttentionInterface.register("fused", fused)
AttentionMaskInterface.register("fused", flash_attention_mask)
size = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
size |= {"num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": window}
qwen = {"use_sliding_window": True, "num_experts": 4, "moe_intermediate_size": 8}
configs = [MixtralConfig(**size), PhimoeConfig(**size), Qwen2MoeConfig(**size, **qwen)]
print(f"transformers {transformers.__version__}, 32 tokens, a window of {window}")
found = []
for config in configs:
    logits = {}
    for kind in ("eager", "sdpa", "fused"):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=kind).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(std=0.2)
            logits[kind] = model(torch.arange(32)[None]).logits
    apart = [(logits[kind] - logits["eager"]).abs().max().item() for kind in ("sdpa", "fused")]
    print(f"{config.model_type}: from eager, sdpa is {apart[0]:.0e} away, fused {apart[1]:.0e}")
    found.append([one > 1e-3 for one in apart])
sys.exit(found != [[False, False], [False, True], [False, True]])
PYTHON
echo "unchanged: PhiMoE and Qwen2-MoE pass no window to fused attention"
