#!/usr/bin/env bash
# peft: "all-linear" adapts the out_proj of torch's MultiheadAttention, an adapter that never runs.
#
# Expected: a layer that gets an adapter computes with it, or is left out (peft has a layer of its
# own for MultiheadAttention, by the module's name).
# Seen: MultiheadAttention reads `out_proj.weight` and does not call out_proj. The adapter is
# counted, saved and loaded, but changes no output and gets no gradient (SigLIP's pooling head, so
# the vision towers of multimodal wrappers too). With PiSSA, which takes part of the weight into
# the adapter, the model's outputs change at once. Work-around: exclude_modules.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 peft==0.21.2 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import copy
import sys

import peft
import torch
import transformers
from transformers import SiglipVisionConfig, SiglipVisionModel

torch.manual_seed(0)
size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
size |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
plain = SiglipVisionModel(SiglipVisionConfig(**size)).eval()
image = torch.randn(1, 3, 28, 28)
print(f"peft {peft.__version__}, transformers {transformers.__version__}, torch 2.13.0")
part, found = "head.attention.out_proj", []
for kind in (True, "pissa"):
    for left_out in (None, part):
        settings = peft.LoraConfig(
            r=2, target_modules="all-linear", init_lora_weights=kind, exclude_modules=left_out
        )
        model = peft.get_peft_model(copy.deepcopy(plain), settings)
        made = model(image).pooler_output
        made.sum().backward()
        adapters = dict(model.named_parameters())
        still = [name for name, one in adapters.items() if "lora_B" in name and one.grad is None]
        moved = (made - plain(image).pooler_output).abs().max().item()
        print(f"{kind}, without {left_out}: no gradient {still}, output moved by {moved:.0e}")
        found.append(([part in name for name in still], moved > 1e-3))
sys.exit(found != [([True], False), ([], False), ([True], True), ([], False)])
PYTHON
echo "unchanged: the adapter of out_proj is there and does nothing"
