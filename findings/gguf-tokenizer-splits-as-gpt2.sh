#!/usr/bin/env bash
# transformers: a GGUF file's tokenizer splits as GPT-2's if its rule is not in a list.
#
# Expected: `AutoTokenizer.from_pretrained(folder, gguf_file=...)` splits as tokenizer.ggml.pre
# says, or refuses a rule that it does not know.
# Seen: names outside of a short list (smollm, exaone, exaone4, deepseek-llm, deepseek-v3, glm4,
# command-r ..) fall back to GPT-2's pattern without a word. SmolLM2's own tokenizer takes digits
# one at a time; its GGUF file read here merges them over a whole number, so the model sees ids
# that it was not trained on.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 \
    tokenizers==0.23.3 gguf==0.19.0 >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import sys

import numpy
import transformers
from gguf import GGUFWriter
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

folder = sys.argv[1]
tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "20", "24", "2024"]


def pieces(rule):
    file = GGUFWriter(f"{folder}/{rule}.gguf", "llama")
    shape = {"context_length": 64, "embedding_length": 16, "block_count": 1, "head_count": 2}
    shape |= {"feed_forward_length": 32, "head_count_kv": 1, "layer_norm_rms_eps": 1e-5}
    shape |= {"tokenizer_model": "gpt2", "tokenizer_pre": rule, "token_list": tokens}
    shape |= {"token_types": [1] * len(tokens), "token_merges": ["2 0", "2 4", "20 24"]}
    for key, value in shape.items():
        getattr(file, f"add_{key}")(value)
    file.add_tensor("token_embd.weight", numpy.zeros((len(tokens), 16), dtype=numpy.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return AutoTokenizer.from_pretrained(folder, gguf_file=f"{rule}.gguf").tokenize("2024")


found = {rule: pieces(rule) for rule in ("gpt-2", "qwen2", "smollm", "deepseek-v3")}
print(f"transformers {transformers.__version__}, gguf 0.19.0")
for rule, cut in found.items():
    print(f"{rule}: '2024' is {cut}")
single = ["2", "0", "2", "4"]
expected = {"gpt-2": ["2024"], "qwen2": single, "smollm": ["2024"], "deepseek-v3": ["2024"]}
sys.exit(found != expected)
PYTHON
echo "unchanged: a rule that is not listed becomes GPT-2's"
