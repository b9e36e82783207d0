#!/usr/bin/env bash
# peft: a LoRA of experts that was saved under transformers 4 loads in part under transformers 5.
#
# Expected: the adapter gives the same logits on the same base, or loading says what it left out.
# Seen: for Qwen2-MoE the adapters of all routed experts are left out, for Qwen3-Next those of the
# shared expert. No warning names a weight (peft warns of weights that the file lacks, not of those
# that it does not use); logits move by far more than rounding. The base alone gives the same
# logits in both, and so does an adapter of Qwen3-MoE, which has no shared expert.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
install() {
    "$work/venv/bin/pip" install -q --disable-pip-version-check \
        torch==2.13.0 peft==0.21.2 "transformers==$1" >/dev/null 2>&1
}
install 4.57.6
"$work/venv/bin/python" - "$work" <<'PYTHON' >/dev/null 2>&1
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers import Qwen2MoeConfig, Qwen3MoeConfig, Qwen3NextConfig

size = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
size |= {"num_attention_heads": 2, "moe_intermediate_size": 8, "num_experts_per_tok": 2}
size |= {"num_key_value_heads": 1, "num_experts": 4, "head_dim": 8, "pad_token_id": 0}
shared = size | {"shared_expert_intermediate_size": 8}
configs = [Qwen3MoeConfig(**size), Qwen2MoeConfig(**shared)]
configs.append(Qwen3NextConfig(**shared, layer_types=["full_attention"]))
targets = ["gate_proj", "up_proj", "down_proj"]
ids = torch.arange(8)[None]
torch.manual_seed(0)
for config in configs:
    folder = f"{sys.argv[1]}/{config.model_type}"
    base = AutoModelForCausalLM.from_config(config).eval()
    base.save_pretrained(folder)
    with torch.no_grad():
        before = base(ids, use_cache=False).logits
        made = get_peft_model(base, LoraConfig(r=2, target_modules=targets))
        for name, weight in made.named_parameters():
            if "lora_" in name:
                weight.normal_()
        made.save_pretrained(f"{folder}-lora")
        torch.save((before, made.eval()(ids, use_cache=False).logits), f"{folder}.pt")
PYTHON
install 5.23.0
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

print(f"peft {peft.__version__}, transformers 4.57.6 -> {transformers.__version__}")
ids = torch.arange(8)[None]
kinds = {"routed": "mlp.experts.", "shared": "shared_expert."}
found = []
for family in ("qwen3_moe", "qwen2_moe", "qwen3_next"):
    folder = f"{sys.argv[1]}/{family}"
    before, after = torch.load(f"{folder}.pt")
    base = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moved = (base(ids, use_cache=False).logits - before).abs().max().item()
        model = peft.PeftModel.from_pretrained(base, f"{folder}-lora").eval()
        shift = (model(ids, use_cache=False).logits - after).abs().max().item()
    told = any("expert" in str(one.message) for one in caught)
    names = [name for name, _ in model.named_parameters() if "lora_" in name]
    file = load_file(f"{folder}-lora/adapter_model.safetensors")
    held = [kind for kind, part in kinds.items() if any(part in name for name in file)]
    kept = [kind for kind, part in kinds.items() if any(part in name for name in names)]
    print(f"{family}: file {held}, model {kept}; base moved {moved:.0e}, adapted {shift:.0e}")
    found.append((held, kept, told, moved < 1e-4, shift > 0.01))
routed, shared, both = ["routed"], ["shared"], ["routed", "shared"]
expected = [(routed, routed, False, True, False)]
expected += [(both, shared, False, True, True), (both, routed, False, True, True)]
sys.exit(found != expected)
PYTHON
echo "unchanged: half of the experts' adapters are left out in silence"
