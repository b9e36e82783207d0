"""Architectures: from a GGUF's keys to the configuration that transformers reads.

llama.cpp knows some numbers by the size of a model and does not write them; they are named here.
A key without a meaning here stops the reading: a scale or a window that is passed over gives a
model that speaks, and is wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kollama2.errors import BadData
from kollama2.model.gguf.file import Gguf

if TYPE_CHECKING:
    import numpy as np

FREQUENCIES = "rope_freqs.weight"
TABLE, HEAD = "token_embd.weight", "output.weight"
_LLAMA3 = (1.0, 4.0)  # Llama 3's low and high frequency factors; files keep what they lead to
_NEEDED = object()


class Keys:
    """The keys of a file's architecture, each to be asked for once."""

    def __init__(self, file: Gguf) -> None:
        self.file = file
        self._before = f"{file.architecture}."
        self._left = {
            name.removeprefix(self._before): value
            for name, value in file.metadata.items()
            if name.startswith(self._before)
        }

    def take(self, name: str, default: Any = _NEEDED) -> Any:
        """The value of a key.

        Raises:
            BadData: it is not there and there is no default, or it differs between layers.
        """
        value = self._left.pop(name, default)
        if value is _NEEDED:
            raise BadData(f"{self.file.path} lacks {self._before}{name}; convert the model anew")
        if isinstance(value, list) and len(set(value)) == 1:
            return value[0]
        if isinstance(value, list):
            raise BadData(
                f"{self.file.path}: {self._before}{name} differs between layers ({value}), which "
                "is not read; take the model's folder in Hugging Face's form"
            )
        return value

    def each(self, name: str) -> list[Any] | None:
        """The value of a key for each layer; None where it is not there."""
        value = self._left.pop(name, None)
        return value if value is None or isinstance(value, list) else [value]

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        if self._left:
            name, value = next(iter(self._left.items()))
            raise BadData(
                f"{self.file.path} says {self._before}{name} = {value}, which is not read; take "
                "the model's folder in Hugging Face's form"
            )


Config = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """How an architecture is read.

    Attributes:
        model_type: its name in transformers.
        more: what it says beyond the common numbers; it may change these.
        paired: rows of queries and keys stand in pairs, as Meta has them.
        shifted: norms are stored plus one.
    """

    model_type: str
    more: Callable[[Keys, Config], None]
    paired: bool = False
    shifted: bool = False


def config_of(file: Gguf) -> Config:
    """The configuration of a model, as its `config.json` has it.

    Raises:
        BadData: the architecture, or something that the file says of it, is not read.
    """
    family, keys = family_of(file), Keys(file)
    if TABLE not in file.tensors:
        raise BadData(f"{file.path} holds no {TABLE}; it is a vocabulary without a model")
    heads, hidden = keys.take("attention.head_count"), keys.take("embedding_length")
    head = keys.take("attention.key_length", hidden // heads)
    layers = keys.take("block_count")
    if not 0 < layers <= len(file.tensors):
        raise BadData(f"{file.path} describes {layers:,} layers in {len(file.tensors)} tensors")
    config: Config = {
        "model_type": family.model_type,
        "vocab_size": file.tensors[TABLE].shape[0],
        "hidden_size": hidden,
        "intermediate_size": keys.take("feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys.take("attention.head_count_kv", heads),
        "head_dim": head,
        "max_position_embeddings": keys.take("context_length"),
        "rms_norm_eps": keys.take("attention.layer_norm_rms_epsilon"),
        "rope_parameters": _rotary(keys, head),
        "tie_word_embeddings": HEAD not in file.tensors,
        **{
            f"{name}_token_id": file.metadata.get(f"tokenizer.ggml.{key}_token_id")
            for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
        },
    }
    keys.take("vocab_size", None)  # the table has as many rows as it has
    family.more(keys, config)
    for name, want in (("attention.value_length", head), ("attention.causal", True)):
        if (said := keys.take(name, want)) != want:
            raise BadData(f"{file.path} says {file.architecture}.{name} = {said}, expected {want}")
    keys.done()
    return config


def family_of(file: Gguf) -> Family:
    """How the architecture of a file is read.

    Raises:
        BadData: it is not.
    """
    family = FAMILIES.get(file.architecture)
    if family is None:
        raise BadData(
            f"{file.path} is a {file.architecture or 'nameless'} model; of GGUF files "
            f"{', '.join(sorted(FAMILIES))} are read, so take its folder in Hugging Face's form"
        )
    return family


def _rotary(keys: Keys, head: int) -> Config:
    """The rotary embedding and how it is stretched."""
    base = {"rope_theta": keys.take("rope.freq_base", 10000.0)}
    turned = keys.take("rope.dimension_count", head)
    if turned != head:
        base["partial_rotary_factor"] = turned / head
    kind = keys.take("rope.scaling.type", "none")
    if FREQUENCIES in keys.file.tensors:
        return {**base, **_llama3(keys.file, base["rope_theta"])}
    if kind == "none":
        return {**base, "rope_type": "default"}
    if kind not in ("linear", "yarn"):
        raise BadData(f"{keys.file.path} stretches its context by {kind}, which is not read")
    scaled = {**base, "rope_type": kind, "factor": keys.take("rope.scaling.factor")}
    if kind == "yarn":
        original = keys.take("rope.scaling.original_context_length")
        scaled["original_max_position_embeddings"] = original
    return scaled


def _llama3(file: Gguf, theta: float) -> Config:
    """Llama 3's stretching, found from the divisors of frequencies that it led to."""
    import numpy as np

    divisors = file.numbers(FREQUENCIES).astype(np.float64)
    factor, (low, high) = float(f"{divisors.max():.6g}"), _LLAMA3
    for original in (2**n for n in range(4, 24)):
        known = llama3_divisors(len(divisors), theta, factor, original, _LLAMA3)
        if np.allclose(divisors, known, rtol=1e-4):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original,
            }
    raise BadData(
        f"{file.path}: {FREQUENCIES} is no stretching of Llama 3's kind; take the model's folder "
        "in Hugging Face's form"
    )


def llama3_divisors(
    count: int, theta: float, factor: float, original: int, bounds: tuple[float, float]
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """What Llama 3's stretching divides the frequencies of a head by.

    Args:
        count: of frequencies, half the width of a head.
        theta: their base.
        factor: of the longest waves.
        original: positions before the stretching.
        bounds: the low and high frequency factors.
    """
    import numpy as np

    lengths = 2 * np.pi * theta ** (np.arange(count) / count)
    low, high = bounds
    smooth = ((original / lengths - low) / (high - low)).clip(0, 1)
    divisors: np.ndarray[Any, np.dtype[np.float64]] = 1 / ((1 - smooth) / factor + smooth)
    return divisors


def _llama(keys: Keys, config: Config) -> None:
    config["attention_bias"] = "blk.0.attn_q.bias" in keys.file.tensors
    config["mlp_bias"] = "blk.0.ffn_up.bias" in keys.file.tensors


def _nothing(keys: Keys, config: Config) -> None:
    """All is said."""


def _granite(keys: Keys, config: Config) -> None:
    _llama(keys, config)
    for name, key in (
        ("attention_multiplier", "attention.scale"),
        ("embedding_multiplier", "embedding_scale"),
        ("residual_multiplier", "residual_scale"),
        ("logits_scaling", "logit_scale"),
    ):
        config[name] = keys.take(key, 1.0)


def _phi3(keys: Keys, config: Config) -> None:
    original = keys.take("rope.scaling.original_context_length", None)
    config["original_max_position_embeddings"] = original or config["max_position_embeddings"]
    config["sliding_window"] = keys.take("attention.sliding_window", 0) or None


def _gemma2(keys: Keys, config: Config) -> None:
    config["sliding_window"] = keys.take("attention.sliding_window")
    config["attn_logit_softcapping"] = keys.take("attn_logit_softcapping")
    config["final_logit_softcapping"] = keys.take("final_logit_softcapping")
    _scalar(config, large=46)


def _gemma3(keys: Keys, config: Config) -> None:
    layers, window = config["num_hidden_layers"], keys.take("attention.sliding_window", None)
    _windows(config, keys.each("attention.sliding_window_pattern") or [6], window)
    config["final_logit_softcapping"] = keys.take("final_logit_softcapping", None)
    near = {"rope_theta": keys.take("rope.freq_base_swa", 10000.0), "rope_type": "default"}
    config["rope_parameters"] = {
        "full_attention": config["rope_parameters"],
        "sliding_attention": near,
    }
    assert layers == len(config["layer_types"])
    _scalar(config, large=62)


def _scalar(config: Config, large: int) -> None:
    """Gemma's largest divides the queries by another number than the width of a head."""
    head = config["head_dim"]
    if config["num_hidden_layers"] == large:
        head = config["hidden_size"] // config["num_attention_heads"]
    config["query_pre_attn_scalar"] = head


def _exaone4(keys: Keys, config: Config) -> None:
    window = keys.take("attention.sliding_window", None)
    _windows(config, keys.each("attention.sliding_window_pattern") or [4], window)


def _windows(config: Config, pattern: list[Any], window: int | None) -> None:
    """Which layers look through a window: those named, or all but every so many."""
    layers = config["num_hidden_layers"]
    near = pattern if len(pattern) == layers else [(i + 1) % pattern[0] for i in range(layers)]
    config["sliding_window"] = window
    config["layer_types"] = [
        "sliding_attention" if one and window else "full_attention" for one in near
    ]


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", _llama, paired=True),  # Mistral's files too
    "smollm3": Family("smollm3", _nothing, paired=True),
    "granite": Family("granite", _granite, paired=True),
    "qwen2": Family("qwen2", _nothing),
    "qwen3": Family("qwen3", _nothing),
    "phi3": Family("phi3", _phi3),
    "olmo2": Family("olmo2", _nothing),
    "gemma2": Family("gemma2", _gemma2, shifted=True),
    "gemma3": Family("gemma3_text", _gemma3, shifted=True),
    "exaone4": Family("exaone4", _exaone4),
}
