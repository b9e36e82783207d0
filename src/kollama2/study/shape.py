"""Shape: the sizes of a model that may not be computed yet, and that decide what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder that decide its cost."""

    body: int
    """Weights of the linear layers of all blocks."""
    table: int
    """Weights of the embeddings, and of the head."""
    tied: bool
    hidden: int
    layers: int
    sides: int
    """Sum of the inputs and outputs of the linear layers, which rank multiplies in an adapter."""

    @property
    def parameters(self) -> int:
        """Weights in all, without norms."""
        return self.body + self.table * (1 if self.tied else 2)

    @property
    def rows(self) -> int:
        """Rows of the embeddings."""
        return self.table // self.hidden


def shape_of(config: Mapping[str, Any] | None) -> Shape | None:
    """The shape that a `config.json` of Llama's family tells; None for any other."""
    if config is None:
        return None
    try:
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
        head = config.get("head_dim") or hidden // heads
        queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
        sizes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
        sizes += [(hidden, inner), (hidden, inner), (inner, hidden)]
        return Shape(
            body=layers * sum(a * b for a, b in sizes),
            table=config["vocab_size"] * hidden,
            tied=bool(config.get("tie_word_embeddings", False)),
            hidden=hidden,
            layers=layers,
            sides=layers * sum(a + b for a, b in sizes),
        )
    except (KeyError, TypeError, ValueError):
        return None
