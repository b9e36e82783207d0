#!/usr/bin/env bash
# transformers: a GGUF file's tokenizer.ggml.add_space_prefix is read and then not used.
#
# Expected: with false no space is put before a text, as in llama.cpp and in the tokenizer that the
# file was made of (add_prefix_space: false, or add_dummy_prefix of a SentencePiece model).
# Seen: a SentencePiece vocabulary always gets the space, so every text begins with another id.
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
from transformers import AutoTokenizer

folder = sys.argv[1]
tokens = ["<unk>", "<s>", "</s>", "▁", "h", "i", "hi", "▁hi"]


def pieces(prefix):
    file = GGUFWriter(f"{folder}/{prefix}.gguf", "llama")
    shape = {"context_length": 64, "embedding_length": 16, "block_count": 1, "head_count": 2}
    shape |= {"feed_forward_length": 32, "head_count_kv": 1, "layer_norm_rms_eps": 1e-5}
    shape |= {"tokenizer_model": "llama", "token_list": tokens, "add_space_prefix": prefix}
    shape |= {"token_scores": [0.0] * 3 + [-9.0] * 3 + [-1.0, -2.0], "bos_token_id": 1}
    shape |= {"token_types": [2, 3, 3, 1, 1, 1, 1, 1], "eos_token_id": 2, "unk_token_id": 0}
    for key, value in shape.items():
        getattr(file, f"add_{key}")(value)
    file.add_tensor("token_embd.weight", numpy.zeros((len(tokens), 16), dtype=numpy.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return AutoTokenizer.from_pretrained(folder, gguf_file=f"{prefix}.gguf").tokenize("hi")


found = {prefix: pieces(prefix) for prefix in (True, False)}
print(f"transformers {transformers.__version__}, gguf 0.19.0")
for prefix, cut in found.items():
    print(f"add_space_prefix {prefix}: 'hi' is {cut}")
sys.exit(found != {True: ["▁hi"], False: ["▁hi"]})
PYTHON
echo "unchanged: the space is added whatever the file says"
