#!/usr/bin/env bash
# transformers: the same tokenizer files give other ids without the model's config.json beside them.
#
# Expected: tokenizer.json and tokenizer_config.json decide how a text is encoded; an adapter's folder,
# which holds the tokenizer but no config.json, encodes as its base's folder does.
# Seen: for `tokenizer_class: LlamaTokenizer` the ids depend on `model_type` in config.json. For phi3
# AutoTokenizer takes the file as it stands; without the config it builds LlamaTokenizer's own pipeline
# in the place of the file's normalizer, and leading spaces are encoded otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    transformers==5.23.0 tokenizers==0.23.3 >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import json
import sys
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models, normalizers
from transformers import AutoTokenizer

base, adapter = Path(sys.argv[1], "base"), Path(sys.argv[1], "adapter")
pieces = ["<unk>", "<s>", "</s>", "▁", "h", "i", "hi", "▁hi", "▁▁"]
merges = [("h", "i"), ("▁", "hi"), ("▁", "▁")]
tokenizer = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>"))
steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
tokenizer.normalizer = normalizers.Sequence(steps)
settings = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
for folder in (base, adapter):
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "unk_token": "<unk>"}))
(base / "config.json").write_text(json.dumps({"model_type": "phi3"}))
found = []
for folder in (base, adapter):
    plain = AutoTokenizer.from_pretrained(folder)
    ids = plain.encode(" hi", add_special_tokens=False)
    found.append(ids)
    print(f"{folder.name}: {type(plain).__name__}, ' hi' is {plain.convert_ids_to_tokens(ids)}")
print(f"transformers {transformers.__version__}")
sys.exit(found[0] == found[1])
PYTHON
echo "unchanged: the ids depend on config.json"
