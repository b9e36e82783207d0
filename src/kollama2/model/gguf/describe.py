"""Describe: from the configuration that transformers reads to a GGUF's keys.

What is written here is read back by `architectures` and compared, so nothing that a family says
beyond it can be lost without an error.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kollama2.errors import BadData
from kollama2.model.gguf.architectures import FAMILIES, llama3_divisors

Said = dict[str, Any]

# What a configuration says that decides nothing of the numbers that a model computes.
_IDLE = frozenset(
    "architectures dtype transformers_version use_cache bos_token_id eos_token_id pad_token_id "
    "initializer_range attention_dropout pretraining_tp _name_or_path max_window_layers"
    .split()
)  # fmt: skip


def architecture_of(config: Any) -> str:
    """llama.cpp's name of a configuration's architecture.

    Raises:
        BadData: no GGUF of it is written here.
    """
    kind = config.model_type
    known = {family.model_type: name for name, family in FAMILIES.items() if name in _MORE}
    known["mistral"] = "llama"
    if kind not in known:
        raise BadData(
            f"a {kind} model is not written as GGUF; {', '.join(sorted(known))} are, and other "
            "families are exported with --to hf"
        )
    return known[kind]


def keys_of(config: Any) -> Said:
    """What a file says of a model, without the architecture's name in front.

    Args:
        config: a transformers configuration of a text model.

    Raises:
        BadData: it says something for which there are no keys.
    """
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    far = _rotary(config)
    return {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(far["rope_theta"]),
        "rope.dimension_count": int(head * far.get("partial_rotary_factor", 1.0)),
        "vocab_size": config.vocab_size,
        **_stretching(far),
        **_MORE[architecture_of(config)](config),
    }


def divisors_of(config: Any) -> Any:
    """The divisors of frequencies that Llama 3's stretching leads to; None for any other."""
    far = _rotary(config)
    if far.get("rope_type") != "llama3":
        return None
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    bounds = (far["low_freq_factor"], far["high_freq_factor"])
    original = far["original_max_position_embeddings"]
    return llama3_divisors(head // 2, far["rope_theta"], far["factor"], original, bounds)


def differences(config: Any, found: Mapping[str, Any]) -> list[str]:
    """What a configuration says otherwise than what was read back of it, as sentences.

    Args:
        config: the model's.
        found: what `architectures.config_of` makes of the file.
    """
    from transformers import AutoConfig

    rest = {k: v for k, v in found.items() if k != "model_type"}
    theirs = AutoConfig.for_model(found["model_type"], **rest).to_dict()
    ours = config.to_dict()
    if config.model_type == "mistral":
        ours = {k: v for k, v in ours.items() if k != "model_type"}
    return [
        f"{name} is {theirs[name]!r} in the file and {ours[name]!r} in the model"
        for name in sorted(ours.keys() & theirs.keys() - _IDLE)
        if _plain(ours[name]) != _plain(theirs[name])
    ]


def _plain(value: Any) -> Any:
    """A value as the file can hold it: numbers as float32, no defaults written out."""
    import numpy as np

    if isinstance(value, Mapping):
        inner = {k: _plain(v) for k, v in value.items() if v is not None}
        return {k: v for k, v in inner.items() if (k, v) != ("partial_rotary_factor", 1.0)}
    if isinstance(value, float):
        return float(np.float32(value))
    return value


def _rotary(config: Any) -> Mapping[str, Any]:
    """The rotary embedding of the layers that see everything."""
    said: Mapping[str, Any] = config.rope_parameters
    far = said.get("full_attention", said)
    assert isinstance(far, Mapping), "layers are named"
    return far


def _stretching(far: Mapping[str, Any]) -> Said:
    kind = far.get("rope_type", "default")
    if kind in ("default", "llama3"):  # Llama 3's stands in a tensor
        return {}
    if kind not in ("linear", "yarn"):
        raise BadData(
            f"the model stretches its context by {kind}, for which there are no keys in GGUF; "
            "export it with --to hf"
        )
    said = {"rope.scaling.type": kind, "rope.scaling.factor": float(far["factor"])}
    if kind == "yarn":
        original = far["original_max_position_embeddings"]
        said["rope.scaling.original_context_length"] = original
    return said


def _nothing(config: Any) -> Said:
    return {}


def _llama(config: Any) -> Said:
    """Llama's, and Mistral's where it looks at everything."""
    window = getattr(config, "sliding_window", None)
    if window is not None and window < config.max_position_embeddings:
        raise BadData(
            f"the model looks through a window of {window:,} positions, which llama.cpp does not "
            "know of it; export it with --to hf"
        )
    return {}


def _granite(config: Any) -> Said:
    return {
        "attention.scale": float(config.attention_multiplier),
        "embedding_scale": float(config.embedding_multiplier),
        "residual_scale": float(config.residual_multiplier),
        "logit_scale": float(config.logits_scaling),
    }


def _always(config: Any, name: str) -> float:
    """A number without which llama.cpp does not compute this family."""
    value: float | None = getattr(config, name)
    if value is None:
        raise BadData(
            f"the model has no {name}, which llama.cpp takes for granted in a {config.model_type}; "
            "export it with --to hf"
        )
    return value


def _gemma2(config: Any) -> Said:
    return {
        "attention.sliding_window": _always(config, "sliding_window"),
        "attn_logit_softcapping": float(_always(config, "attn_logit_softcapping")),
        "final_logit_softcapping": float(_always(config, "final_logit_softcapping")),
    }


def _gemma3(config: Any) -> Said:
    near = config.rope_parameters["sliding_attention"]["rope_theta"]
    window = _always(config, "sliding_window")
    return {"attention.sliding_window": window, "rope.freq_base_swa": float(near)}


_MORE: Mapping[str, Callable[[Any], Said]] = {
    "llama": _llama,
    "smollm3": _nothing,
    "granite": _granite,
    "qwen2": _nothing,
    "qwen3": _nothing,
    "olmo2": _nothing,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
}
