"""ModelArgs: the numbers of a Llama 2 model, as Meta's `params.json` states them."""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, storage
from kollama2.model.reading import reading

CONTEXT = 4096  # of every Llama 2 model; params.json does not say it
ROPE_THETA = 10000.0


@dataclass(frozen=True)
class ModelArgs:
    """The fields and defaults of the reference's class of this name.

    Attributes:
        vocab_size: -1 in Meta's files: the tokenizer says it.
        multiple_of: what the width of the feed-forward layer is rounded up to.
        max_batch_size: rows of the KV cache; never in a file.
        max_seq_len: positions of the KV cache; never in a file.
        rope_theta: base of the rotary embedding; only Code Llama's files state it.
    """

    dim: int = 4096
    n_layers: int = 32
    n_heads: int = 32
    n_kv_heads: int | None = None
    vocab_size: int = -1
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    norm_eps: float = 1e-5
    max_batch_size: int = 32
    max_seq_len: int = 2048
    rope_theta: float = ROPE_THETA

    @property
    def kv_heads(self) -> int:
        """Key-value heads; as many as query heads where `n_kv_heads` is None."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        """Width of the feed-forward layer: 11008, 13824 and 28672 for 7B, 13B and 70B."""
        hidden = int(2 * 4 * self.dim / 3)
        if self.ffn_dim_multiplier is not None:
            hidden = int(self.ffn_dim_multiplier * hidden)
        return self.multiple_of * ((hidden + self.multiple_of - 1) // self.multiple_of)

    def config(self, vocab_size: int, dtype: str) -> dict[str, Any]:
        """Return the `config.json` of the same model in Hugging Face's form."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": vocab_size,
            "hidden_size": self.dim,
            "intermediate_size": self.hidden_dim,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": CONTEXT,
            "hidden_act": "silu",
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "dtype": dtype,
        }


_NEVER_IN_A_FILE = {"max_batch_size", "max_seq_len"}


def read_params(path: Path) -> ModelArgs:
    """Read a `params.json`.

    Raises:
        BadData: it is not JSON, has a key that no Llama 2 model has, or numbers that cannot be.
        Denied, StorageTrouble: it cannot be read.
    """
    with storage(path):
        text = path.read_bytes()
    with reading(path, "is not JSON; fetch it again"):
        raw = json.loads(text)
    if not isinstance(raw, dict):
        raise BadData(f"{path} holds no JSON object; fetch it again")
    known = {field.name for field in fields(ModelArgs)} - _NEVER_IN_A_FILE
    if unknown := sorted(raw.keys() - known):
        raise BadData(f"{path} has the key {unknown[0]!r}, which no Llama 2 model has")
    args = ModelArgs(**raw)
    counts = {
        "dim": args.dim,
        "n_layers": args.n_layers,
        "n_heads": args.n_heads,
        "n_kv_heads": args.kv_heads,
        "multiple_of": args.multiple_of,
    }
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadData(f"{path}: {name} is {value!r}, not a positive whole number")
    for name in ("norm_eps", "rope_theta", "ffn_dim_multiplier"):
        value = getattr(args, name)
        if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
            raise BadData(f"{path}: {name} is {value!r}, not a positive number")
    if args.dim % args.n_heads or args.head_dim % 2 or args.n_heads % args.kv_heads:
        raise BadData(
            f"{path}: dim = {args.dim} cannot be shared by {args.n_heads} heads of even width with "
            f"{args.kv_heads} key-value heads"
        )
    return args


def params_of(config: Any, rope_theta: float) -> dict[str, Any]:
    """Return the `params.json` of a model in Hugging Face's form.

    Args:
        config: a transformers configuration of a Llama.
        rope_theta: its rotary base.
    """
    dim, hidden = config.hidden_size, config.intermediate_size
    params: dict[str, Any] = {
        "dim": dim,
        "multiple_of": 256,
        "n_heads": config.num_attention_heads,
        "n_layers": config.num_hidden_layers,
        "norm_eps": config.rms_norm_eps,
        "vocab_size": -1,
    }
    if config.num_key_value_heads != config.num_attention_heads:
        params["n_kv_heads"] = config.num_key_value_heads
    if rope_theta != ROPE_THETA:
        params["rope_theta"] = rope_theta
    plain = int(2 * 4 * dim / 3)
    if 256 * ((plain + 255) // 256) != hidden:
        # Rounding up to `hidden` itself gives every width that the multiplier does not exceed.
        params["multiple_of"] = hidden
        if plain > hidden:
            params["ffn_dim_multiplier"] = hidden / plain
    return params
