"""Tiny random models of the families that people adapt, as transformers makes them.

Each has hidden and intermediate sizes of 64 or 128 (NF4 blocks), 2 to 4 layers, and every kind of
layer that the family has: `FAMILIES[name]()` is a model in float32, in evaluation mode, its weights
a function of nothing but its configuration. Keywords go to the configuration of its language model:
`FAMILIES["qwen3"](vocab_size=500, eos_token_id=7)`.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from transformers import PreTrainedModel

_SHAPE: dict[str, Any] = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_WINDOW = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
_LINEAR = {
    "head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "tie_word_embeddings": True, **_WINDOW}
_SCALED = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 150000.0,
    "factor": 4.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 128,
}


def _random(model: Any, config: Any, kind: str) -> Any:
    """Random weights, large enough that every layer shows in the logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = model(config)
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if weight.dim() > 1:
                    weight.normal_(0, 0.08)
                elif "sinks" in name:
                    weight.normal_(0, 1.0)
        made.tie_weights()
    assert made.config.model_type == kind, made.config.model_type
    return made.eval()


def _wrapped(
    model: Any, config: Any, kind: str, given: dict[str, Any], vision: Any, text: Any, **rest: Any
) -> Any:
    """A wrapper with a small vision tower around a language model."""
    shape = {**_SHAPE, **text, **given}
    ties = {"tie_word_embeddings": shape["tie_word_embeddings"]}
    return _random(model, config(text_config=shape, vision_config=vision, **ties, **rest), kind)


def _mistral3(**given: Any) -> PreTrainedModel:
    vision = {
        "model_type": "pixtral",
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return _wrapped(
        tf.Mistral3ForConditionalGeneration,
        tf.Mistral3Config,
        "mistral3",
        given,
        vision,
        {"model_type": "mistral", "head_dim": 16, "sliding_window": None},
        image_token_index=10,
    )


def _gemma3(**given: Any) -> PreTrainedModel:
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return _wrapped(
        tf.Gemma3ForConditionalGeneration,
        tf.Gemma3Config,
        "gemma3",
        given,
        vision,
        {"model_type": "gemma3_text", **_GEMMA},
        mm_tokens_per_image=4,
        image_token_index=10,
        boi_token_index=11,
        eoi_token_index=12,
    )


def _qwen3_5(**given: Any) -> PreTrainedModel:
    vision = {
        "depth": 1,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
    }
    return _wrapped(
        tf.Qwen3_5ForConditionalGeneration,
        tf.Qwen3_5Config,
        "qwen3_5",
        given,
        vision,
        {"model_type": "qwen3_5_text", **_LINEAR},
        image_token_id=10,
        video_token_id=11,
        vision_start_token_id=12,
        vision_end_token_id=13,
    )


def _plain(model: Any, config: Any, kind: str, **text: Any) -> Callable[..., PreTrainedModel]:
    def make(**given: Any) -> PreTrainedModel:
        made: PreTrainedModel = _random(model, config(**{**_SHAPE, **text, **given}), kind)
        return made

    return make


FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "llama": _plain(tf.LlamaForCausalLM, tf.LlamaConfig, "llama"),
    "llama3.2": _plain(
        tf.LlamaForCausalLM,
        tf.LlamaConfig,
        "llama",
        head_dim=32,
        tie_word_embeddings=True,
        rope_parameters=_SCALED,
    ),
    "mistral-wide": _plain(tf.MistralForCausalLM, tf.MistralConfig, "mistral", sliding_window=4096),
    "mistral-narrow": _plain(tf.MistralForCausalLM, tf.MistralConfig, "mistral", sliding_window=16),
    "mistral3": _mistral3,
    "qwen2": _plain(tf.Qwen2ForCausalLM, tf.Qwen2Config, "qwen2", tie_word_embeddings=True),
    "qwen3": _plain(
        tf.Qwen3ForCausalLM, tf.Qwen3Config, "qwen3", head_dim=32, tie_word_embeddings=True
    ),
    "qwen3_5_text": _plain(tf.Qwen3_5ForCausalLM, tf.Qwen3_5TextConfig, "qwen3_5_text", **_LINEAR),
    "qwen3_5": _qwen3_5,
    "qwen3_next": _plain(
        tf.Qwen3NextForCausalLM,
        tf.Qwen3NextConfig,
        "qwen3_next",
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
        shared_expert_intermediate_size=64,
        **_LINEAR,
    ),
    "gemma2": _plain(
        tf.Gemma2ForCausalLM,
        tf.Gemma2Config,
        "gemma2",
        attn_logit_softcapping=5.0,
        final_logit_softcapping=30.0,
        **_GEMMA,
    ),
    "gemma3_text": _plain(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, "gemma3_text", **_GEMMA),
    "gemma3": _gemma3,
    "phi3": _plain(tf.Phi3ForCausalLM, tf.Phi3Config, "phi3", sliding_window=2047),
    "olmo3": _plain(tf.Olmo3ForCausalLM, tf.Olmo3Config, "olmo3", **_WINDOW),
    "smollm3": _plain(
        tf.SmolLM3ForCausalLM,
        tf.SmolLM3Config,
        "smollm3",
        no_rope_layers=[1, 0],
        tie_word_embeddings=True,
    ),
    "granite": _plain(
        tf.GraniteForCausalLM,
        tf.GraniteConfig,
        "granite",
        embedding_multiplier=12.0,
        attention_multiplier=0.0625,
        residual_multiplier=0.22,
        logits_scaling=8.0,
        tie_word_embeddings=True,
    ),
    "exaone4": _plain(
        tf.Exaone4ForCausalLM, tf.Exaone4Config, "exaone4", tie_word_embeddings=True, **_WINDOW
    ),
    "gpt_neox": _plain(tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig, "gpt_neox", rotary_pct=0.5),
    "lfm2": _plain(
        tf.Lfm2ForCausalLM,
        tf.Lfm2Config,
        "lfm2",
        block_ff_dim=128,
        block_auto_adjust_ff_dim=False,
        layer_types=["conv", "full_attention"],
        tie_embedding=True,
    ),
    "falcon_h1": _plain(
        tf.FalconH1ForCausalLM,
        tf.FalconH1Config,
        "falcon_h1",
        mamba_d_ssm=64,
        mamba_n_heads=4,
        mamba_d_state=16,
        mamba_chunk_size=16,
    ),
    "gpt_oss": _plain(
        tf.GptOssForCausalLM,
        tf.GptOssConfig,
        "gpt_oss",
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        intermediate_size=64,
        rope_parameters=_YARN,
        **_WINDOW,
    ),
}

# One of each kind of layer and of wrapper; tests of the others are slow.
QUICK = {
    "falcon_h1", "gemma2", "gpt_neox", "gpt_oss", "lfm2", "llama", "mistral3", "qwen3_next",
}  # fmt: skip
CASES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(FAMILIES)
]
every = pytest.mark.parametrize("family", CASES)
