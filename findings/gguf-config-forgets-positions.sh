#!/usr/bin/env bash
# transformers: a model read from a GGUF file loses how its rotary positions are stretched.
#
# Expected: `from_pretrained(folder, gguf_file=...)` gives the angles that the file describes, or
# says that it does not read a key.
# Seen: rope.scaling.* is dropped in silence (Gemma 3's factor 8 of its global layers, YaRN of Qwen
# files for long contexts), rope_freqs.weight (how Llama 3.1 and later are stored) is skipped
# though the loading report is clean, rope.freq_base is not read for StarCoder2 nor
# rope.dimension_count for Phi-3's family (Phi-4-mini turns three quarters of a head). gpt-oss,
# whose rope.scaling.* is read, fails with a TypeError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 \
    accelerate==1.15.0 gguf==0.19.0 numpy==2.4.6 >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import sys

import numpy
import transformers
from gguf import GGUFWriter, RopeScalingType
from transformers import AutoConfig, AutoModelForCausalLM

folder = sys.argv[1]


def write(family, tensors, **keys):
    file = GGUFWriter(f"{folder}/{family}.gguf", family)
    shape = {"context_length": 131072, "embedding_length": 16, "block_count": 1, "vocab_size": 64}
    shape |= {"feed_forward_length": 32, "head_count": 2, "head_count_kv": 1, "key_length": 8}
    shape |= {"layer_norm_rms_eps": 1e-5, "rope_freq_base": 5e5, "rope_dimension_count": 8}
    for key, value in {**shape, **keys}.items():
        getattr(file, f"add_{key}")(value)
    for name, array in tensors.items():
        file.add_tensor(name, numpy.array(array, dtype=numpy.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return f"{family}.gguf"


def read(family, **keys):
    try:
        file = write(family, {"token_embd.weight": numpy.ones((64, 16))}, **keys)
        config = AutoConfig.from_pretrained(folder, gguf_file=file)
    except TypeError:
        return "TypeError"
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    return rope["rope_type"], rope["rope_theta"], rope.get("partial_rotary_factor")


linear = {"rope_scaling_type": RopeScalingType.LINEAR, "rope_scaling_factor": 8.0}
yarn = {"rope_scaling_type": RopeScalingType.YARN, "rope_scaling_factor": 4.0}
print(f"transformers {transformers.__version__}, gguf 0.19.0; type, base and turned part of a head")
found = {"gemma3": read("gemma3", **linear), "qwen3": read("qwen3", **yarn)}
found |= {"starcoder2": read("starcoder2"), "phi3": read("phi3", rope_dimension_count=6)}
found |= {"gpt-oss": read("gpt-oss", **yarn)}
for family, rope in found.items():
    print(f"{family}: {rope}")

names = {"attn_q": (16, 16), "attn_k": (8, 16), "attn_v": (8, 16), "attn_output": (16, 16)}
names |= {"ffn_gate": (32, 16), "ffn_up": (32, 16), "ffn_down": (16, 32)}
names |= {"attn_norm": 16, "ffn_norm": 16}
tensors = {f"blk.0.{name}.weight": numpy.ones(size) for name, size in names.items()}
tensors |= {"token_embd.weight": numpy.ones((64, 16)), "output_norm.weight": numpy.ones(16)}
file = write("llama", tensors | {"rope_freqs.weight": [1, 1, 4, 8]})
model, report = AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=file, output_loading_info=True
)
plain = 5e5 ** -(numpy.arange(4) / 4)
kept = numpy.allclose(model.model.rotary_emb.inv_freq.numpy(), plain)
unread = sorted(report["unexpected_keys"])
print(f"llama with rope_freqs 1, 1, 4, 8: frequencies unstretched {kept}, reported {unread}")
expected = {"gemma3": ("default", 5e5, None), "qwen3": ("default", 5e5, None)}
expected |= {"starcoder2": ("default", 1e4, None), "phi3": ("default", 5e5, 1.0)}
expected |= {"gpt-oss": "TypeError"}
sys.exit(found != expected or not kept or unread != [])
PYTHON
echo "unchanged: a GGUF file's positions are read unstretched"
