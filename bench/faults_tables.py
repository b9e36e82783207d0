"""Tables of what is done to model folders in `faults_models.py`: values, texts, headers."""

# ruff: noqa: E501

import json
from collections.abc import Mapping
from typing import Any

NAN, INF, HUGE = float("nan"), float("inf"), 10**9
_COUNT = (0, -1, 1.5, "64", [64], {}, True, HUGE, 10**30, None)
_TEXT = (7, [], {}, None, "", "nosuch")
_FLOAT = ("1", [], {}, NAN, INF, -1.0)
_COUNTS = """hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads
    head_dim vocab_size max_position_embeddings""".split()
_METHODS = "gptq awq bitsandbytes fp8 hqq compressed-tensors quanto aqlm nosuch".split()
_ROPES = (
    *(
        {"rope_type": name}
        for name in ("nosuch", "linear", "dynamic", "yarn", "longrope", "llama3")
    ),
    {"rope_type": "linear", "factor": "2"},
    {"rope_type": "linear", "factor": 0.0},
    {"rope_type": "default", "rope_theta": 0.0},
    {"rope_type": "default", "rope_theta": -1.0},
    {"rope_type": "default", "rope_theta": "big"},
    {"rope_type": 7},
    [],
    "linear",
)
_KERNELS = (
    "flash_attention_2",
    "flash_attention_3",
    "flex_attention",
    "nosuch",
    "kernels-community/x",
    7,
)
Values = tuple[tuple[bool, str, tuple[Any, ...]], ...]
"""Whether another answer needs a word, the key, and what it is set to."""

VALUES: Mapping[tuple[str, str], Values] = {
    ("fast", "config.json"): (
        *((True, key, _COUNT[:-1]) for key in _COUNTS),
        *((False, key, (None,)) for key in _COUNTS),
        (True, "num_layers", (HUGE,)),
        (True, "vision_config", ({"depth": HUGE},)),
        (True, "model_type", (*_TEXT, "bert", "t5", "mamba", "gpt2", "llama4", "qwen3_moe")),
        (True, "architectures", ("LlamaForCausalLM", [7], [[]], {}, ["nosuch"], ["BertModel"])),
        (True, "rope_parameters", _ROPES),
        (False, "rope_scaling", _ROPES),
        (True, "quantization_config", ([], "gptq", *({"quant_method": m} for m in _METHODS))),
        (True, "_attn_implementation", _KERNELS),
        (True, "attn_implementation", _KERNELS),
        (True, "rms_norm_eps", _FLOAT),
        (True, "hidden_act", _TEXT),
        (True, "dtype", ("nosuch", 7, [], "int8", "float8_e4m3fn")),
        (True, "eos_token_id", ("2", {}, [[2]], ["x"], 1.5)),
        (False, "eos_token_id", (HUGE, -1, None, [])),
        (False, "pad_token_id", ("x", HUGE, -5, {})),
        (True, "tie_word_embeddings", ("yes", [])),
        (True, "layer_types", ("full", [7], ["nosuch"], ["full_attention"])),
        (True, "text_config", ([], "x", 7)),
        (True, "auto_map", ({"AutoModelForCausalLM": "evil.Model"},)),
        (True, "transformers_weights", ("adapter_model.bin", "../x.safetensors", 7, "/etc/passwd")),
        (True, "attention_bias", ("x", [], True)),
        (True, "mlp_bias", (True,)),
        (False, "sliding_window", (-1, 0, "x")),
    ),
    ("fast", "generation_config.json"): (
        (False, "eos_token_id", ("2", [[2]], {}, HUGE)),
        (False, "temperature", ("hot", -1.0, NAN, [])),
        (False, "repetition_penalty", ("x", -1.0, 0.0, [])),
        (False, "max_length", ("x", -5, HUGE)),
        (False, "bad_words_ids", ("x", [[]], [[-1]], 7)),
        (False, "suppress_tokens", ("x", [HUGE], [-1], 7)),
        (False, "cache_implementation", ("nosuch", 7)),
    ),
    ("fast", "tokenizer_config.json"): (
        (True, "tokenizer_class", (7, [], {}, "nosuch")),
        (True, "added_tokens_decoder", ([], "x", {"x": {}}, {"1": "a"}, {"5": {"content": 7}}, {"-1": {}})),
        (True, "added_tokens_decoder", ({str(HUGE - 1): {"content": "<x>", "special": True}},)),
        (True, "eos_token", (7, [], {}, {"content": 7})),
        (False, "eos_token", ("nosuch", None)),
        (False, "extra_special_tokens", (7, "x", [7], {"a": 7})),
        (True, "chat_template", (7, [{}], [{"name": "tools", "template": "x"}], [7])),
        (False, "model_max_length", ("x", -1, {})),
        (False, "auto_map", ({"AutoTokenizer": ["evil.Tok", None]},)),
    ),
    ("fast", "tokenizer.json"): (
        (True, "model", (None, [], {}, "x", {"type": "nosuch", "vocab": {}}, {"type": "BPE", "vocab": {}})),
        (True, "model.vocab", (None, [], {}, {"a": -1}, {"a": "0"}, {"a": HUGE * 10})),
        (True, "model.merges", ("x", [7], ["nosuch pair"], [["a"]])),
        (True, "model.type", ("nosuch", 7, "WordPiece", "Unigram")),
        (True, "pre_tokenizer", ("x", {"type": "nosuch"}, {"type": "Split", "pattern": {"Regex": "("}})),
        (True, "normalizer", ("x", {"type": "nosuch"}, {"type": "Precompiled", "precompiled_charsmap": "!"})),
        (True, "decoder", ("x", {"type": "nosuch"})),
        (True, "post_processor", ("x", {"type": "nosuch"}, {"type": "TemplateProcessing", "single": []})),
        (True, "added_tokens", ("x", [7], [{}], [{"id": "0", "content": "a"}], [{"id": -1, "content": "a"}])),
        (True, "version", ("9.9", 7)),
    ),
    ("adapter", "adapter_config.json"): (
        (True, "base_model_name_or_path", (7, [], "", "/nosuch", "no/such-model-here", ".", "..")),
        (True, "peft_type", (*_TEXT, "PROMPT_TUNING", "IA3", "VERA", "OFT", "LOHA", "BOFT", "POLY")),
        (True, "r", (0, -1, "4", 1.5, HUGE, 7, [])),
        (True, "target_modules", (7, [], ["nosuch"], "(", {}, [7], "nosuch", ["embed_tokens"])),
        (True, "rank_pattern", ([], {"q_proj": "x"}, {"q_proj": HUGE}, {"q_proj": 0})),
        (True, "lora_alpha", ("x", [], NAN)),
        (True, "modules_to_save", (7, ["nosuch"], {}, ["lm_head"])),
        (False, "layers_to_transform", (7, ["x"], [99], "x")),
        (False, "bias", ("nosuch", 7, "all")),
        (False, "init_lora_weights", ("nosuch", "pissa", "loftq", "eva", 7)),
        (True, "use_dora", (True,)),
        (False, "task_type", ("nosuch", 7, "SEQ_CLS")),
        (True, "layer_replication", ([[0, HUGE]], [[0, 2], [0, 2]], "x")),
        (False, "auto_mapping", ({"base_model_class": "x", "parent_library": "os"}, 7)),
        (True, "megatron_config", (7, {"a": 1})),
        (False, "trainable_token_indices", ([HUGE], "x", {"a": 7})),
    ),
    ("meta", "params.json"): (
        *((True, k, _COUNT[:-1]) for k in ("dim", "n_layers", "n_heads", "n_kv_heads", "multiple_of")),
        (True, "norm_eps", _FLOAT),
        (False, "vocab_size", ("x", [], HUGE)),
        (True, "nosuch", (1,)),
        (True, "rope_theta", ("x", 0, -1.0, NAN)),
        (True, "ffn_dim_multiplier", ("x", 0, -1.0, NAN, INF, 1e300)),
    ),
}  # fmt: skip

_LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = {
    "no end": _LOOP,
    "text without end": "{% for a in range(99999) %}{% for b in range(9999) %}xxxxxxxx{% endfor %}{% endfor %}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "product": "{{ 'x' * 10000000000 }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "syntax": "{% for m in messages %}",
    "unknown tag": "{% nosuch %}",
    "unknown filter": "{{ messages | nosuch }}",
    "undefined": "{{ nosuch.this.that }}",
    "sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "refuses": "{{ raise_exception('never') }}",
    "division": "{{ 1 / 0 }}",
    "index": "{{ messages[99].content }}",
    "type": "{{ messages + 1 }}",
    "import": "{% import 'os' as os %}",
    "include": "{% include '/etc/passwd' %}",
    "writes no content": "constant",
    "changes": "{% set _ = messages.append(messages[0]) %}{{ messages }}",
}

DAMAGES = ("missing", "empty", "half", "a folder", "noise", "a list", "deep", "no access")


def _tensor(**changes: Any) -> bytes:
    said = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64], **changes}
    return json.dumps({"model.embed_tokens.weight": said}).encode()


HEADERS = {
    "sound, but alone": _tensor(),
    "negative": _tensor(data_offsets=[-4, 64]),
    "behind the end": _tensor(data_offsets=[0, 1 << 40]),
    "huge shape": _tensor(shape=[1 << 40, 1 << 40]),
    "negative shape": _tensor(shape=[-1, 4]),
    "a text for a shape": _tensor(shape="4"),
    "unknown type": _tensor(dtype="X9"),
    "no type": _tensor(dtype=None),
    "a list": b"[]",
    "no object": b"7",
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "nothing": b"{}",
    "deep": b'{"a":' * 50_000,
}

FUZZED = (
    ("fast", "config.json"),
    ("fast", "tokenizer.json"),
    ("fast", "tokenizer_config.json"),
    ("adapter", "adapter_config.json"),
    ("split", "model.safetensors.index.json"),
    ("meta", "params.json"),
    ("whole", "model.safetensors"),
    ("adapter", "adapter_model.safetensors"),
    ("whole", "tokenizer.model"),
    ("gguf", "model.gguf"),
    ("meta", "consolidated.00.pth"),
)
