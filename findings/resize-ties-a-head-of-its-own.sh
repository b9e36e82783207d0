#!/usr/bin/env bash
# transformers: resize_token_embeddings throws away a head that differs from the embeddings.
#
# Expected: a checkpoint with its own lm_head.weight whose config says tie_word_embeddings (an
# adapted model whose two tables were trained apart) is loaded untied, as a warning says, and stays
# so.
# Seen: it is loaded untied, and saved and loaded again untied. But `resize_token_embeddings`, even
# to the size that it has, ties the tables: the head's trained rows are gone without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig

folder = Path(sys.argv[1], "model")
size = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
config = LlamaConfig(**size, num_attention_heads=2, tie_word_embeddings=False)
AutoModelForCausalLM.from_config(config).save_pretrained(folder)
file = folder / "config.json"
file.write_text(json.dumps({**json.loads(file.read_text()), "tie_word_embeddings": True}))

print(f"transformers {transformers.__version__}")
found = []
for rows in (None, 64, 72):
    model = AutoModelForCausalLM.from_pretrained(folder)
    head = model.lm_head.weight.detach().clone()
    if rows:
        model.resize_token_embeddings(rows)
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    kept = torch.equal(model.lm_head.weight[:64], head)
    print(f"{f'resized to {rows}' if rows else 'loaded'}: tied {tied}, the head's rows kept {kept}")
    found.append((tied, kept))
sys.exit(found != [(False, True), (True, False), (True, False)])
PYTHON
echo "unchanged: resizing ties a head that was loaded untied"
