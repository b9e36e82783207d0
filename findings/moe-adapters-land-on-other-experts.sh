#!/usr/bin/env bash
# peft: adapters of a mixture of experts land on other experts than those that targets name.
#
# Expected: `target_modules` of a shared expert's projections adapts that expert, and "all-linear"
# the same kinds of layers in every family.
# Seen: for families that transformers 5 converts by qwen2_moe's mapping (Qwen3-Next, DeepSeek-V3,
# GLM-4 MoE ..) every target that ends in gate_proj, up_proj or down_proj, a full name too, is
# turned into the routed experts' parameters. The shared expert that was named learns nothing, the
# routed ones do; "all-linear" leaves shared experts and dense layers out. For Qwen2-MoE itself it
# is the other way round.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 peft==0.21.2 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys

import peft
import transformers
from transformers import AutoModelForCausalLM, DeepseekV3Config, Qwen2MoeConfig, Qwen3NextConfig

size = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
size |= {"num_attention_heads": 2, "moe_intermediate_size": 8, "num_experts_per_tok": 2}
qwen = size | {"num_key_value_heads": 1, "num_experts": 4, "shared_expert_intermediate_size": 8}
lora = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8}
groups = {"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1}
configs = {
    "qwen2_moe": Qwen2MoeConfig(**qwen),
    "qwen3_next": Qwen3NextConfig(**qwen, head_dim=8, layer_types=["full_attention"] * 2),
    "deepseek_v3": DeepseekV3Config(**size, **lora, **groups, num_key_value_heads=2, v_head_dim=8),
}


def adapted(family, targets):
    model = AutoModelForCausalLM.from_config(configs[family])
    model = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=targets))
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    names = [name for name in names if "shared_expert_gate" not in name]
    kinds = {"routed": ".mlp.experts.", "shared": "shared_expert", "dense": ".0.mlp.gate_proj."}
    return [kind for kind, part in kinds.items() if any(part in name for name in names)]


print(f"peft {peft.__version__}, transformers {transformers.__version__}; experts that are adapted")
named = [f"mlp.shared_expert.{part}_proj" for part in ("gate", "up", "down")]
found = []
for family in configs:
    found.append(adapted(family, "all-linear"))
    print(f"{family}, all-linear: {found[-1]}")
for family in ("qwen2_moe", "qwen3_next"):
    found.append(adapted(family, named))
    print(f"{family}, the shared expert's own names: {found[-1]}")
sys.exit(found != [["shared"], ["routed"], ["routed"], ["shared"], ["routed"]])
PYTHON
echo "unchanged: the family decides which experts a target means"
