#!/usr/bin/env bash
# transformers: add_bos_token of tokenizer_config.json counts for nothing beside a tokenizer.json.
#
# Expected: `add_bos_token: true` in the file does what `add_bos_token=True` does as an argument,
# and what it did for Llama's and Gemma's fast tokenizers in transformers 4: texts begin with BOS.
# Seen: no BOS, and the attribute says False. Saving then drops the key from tokenizer_config.json,
# so a converter that reads it there finds nothing. Hits folders whose tokenizer.json adds nothing
# itself (a ByteLevel post-processor, such as DeepSeek's).
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
from tokenizers import Tokenizer, models, processors
from transformers import AutoTokenizer

first, second = Path(sys.argv[1], "first"), Path(sys.argv[1], "second")
first.mkdir()
plain = Tokenizer(models.BPE({"<s>": 0, "</s>": 1, "h": 2, "i": 3, "hi": 4}, [("h", "i")]))
plain.post_processor = processors.ByteLevel(trim_offsets=False)
plain.save(str(first / "tokenizer.json"))
settings = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
(first / "tokenizer_config.json").write_text(json.dumps({**settings, "add_bos_token": True}))

read = AutoTokenizer.from_pretrained(first)
given = AutoTokenizer.from_pretrained(first, add_bos_token=True)
read.save_pretrained(second)
kept = "add_bos_token" in json.loads((second / "tokenizer_config.json").read_text())
found = (read.encode("hi"), given.encode("hi"), read.add_bos_token, kept)
print(f"transformers {transformers.__version__}, add_bos_token: true")
print(f"in the file: {found[0]}, as an argument: {found[1]}; attribute {found[2]}, saved {kept}")
sys.exit(found != ([4], [0, 4], False, False))
PYTHON
echo "unchanged: the flag in the file is ignored"
