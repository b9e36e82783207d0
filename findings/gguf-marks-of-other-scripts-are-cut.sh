#!/usr/bin/env bash
# transformers: a GGUF file's special tokens with characters as DeepSeek's bars are cut into bytes.
#
# Expected: a control or user-defined token of the file is one token with the file's id, as in
# llama.cpp.
# Seen: in a byte-level vocabulary a mark that holds a character outside of the byte alphabet
# (DeepSeek's fullwidth bars, in its distilled Qwen and Llama models too) is taken for a mistake of
# the converter. Such a mark is cut into bytes; if it is the end-of-text token it gets an id behind
# the vocabulary, for which the model has no row, and the one that the model writes is no special
# token any more. ASCII marks are right.
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
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
bar = "\N{FULLWIDTH VERTICAL LINE}"
marks = ["<|user|>", "<|tool|>", f"<{bar}User{bar}>", f"<{bar}tool{bar}>", f"<{bar}end{bar}>"]
tokens = alphabet + ["ab"] + marks
file = GGUFWriter(f"{folder}/model.gguf", "qwen2")
shape = {"context_length": 64, "embedding_length": 16, "block_count": 1, "head_count": 2}
shape |= {"feed_forward_length": 32, "head_count_kv": 1, "layer_norm_rms_eps": 1e-5}
shape |= {"tokenizer_model": "gpt2", "tokenizer_pre": "deepseek-r1-qwen", "token_list": tokens}
# 1 normal, 3 control, 4 user-defined
shape |= {"token_types": [1] * (len(alphabet) + 1) + [3, 4, 3, 4, 3], "token_merges": ["a b"]}
shape |= {"eos_token_id": len(tokens) - 1}
for key, value in shape.items():
    getattr(file, f"add_{key}")(value)
file.add_tensor("token_embd.weight", numpy.zeros((len(tokens), 16), dtype=numpy.float32))
file.write_header_to_file()
file.write_kv_data_to_file()
file.write_tensors_to_file()
file.close()

read = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
print(f"transformers {transformers.__version__}, gguf 0.19.0")
found = []
for index, mark in enumerate(marks, len(alphabet) + 1):
    ids = read.encode(mark, add_special_tokens=False)
    found.append(ids == [index])
    print(f"{mark}: {index} in the file, {len(ids)} tokens beginning with {ids[0]} here")
print(f"end of text: id {read.eos_token_id} here, while the file's model has {len(tokens)} rows")
sys.exit(found != [True, True, False, False, False] or read.eos_token_id < len(tokens))
PYTHON
echo "unchanged: marks outside of the byte alphabet are not the file's"
