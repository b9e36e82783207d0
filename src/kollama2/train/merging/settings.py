"""How models are merged: every field changes the result."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kollama2.engine.closed import Closed

SHAPE = (
    "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads",
)  # fmt: skip
"""What a configuration must have in common with another for a merge; vocabularies may differ."""
Method = Literal["chat-vector", "shadow-ft", "elchat", "linear", "slerp", "ties", "dare"]


class MergeSettings(Closed):
    """One merge of a model with others."""

    method: Method = Field(
        description="How: `chat-vector` and `shadow-ft` add what the other model learned since the "
        "base (the same sum, with the roles of the Korean and the chat model exchanged); `elchat` "
        "moves the outermost layers towards the chat model; `linear` is the weighted mean (a soup "
        "of several); `slerp` interpolates along the arc (spherically); `ties` and `dare` add "
        "sparse differences."
    )
    weight: float = Field(
        1.0,
        ge=0,
        le=2,
        description="Factor λ of a sum of differences; of `linear` and `slerp` the share of the "
        "others, at most 1: the default gives this model itself a share of 0, and an even soup of "
        "n models has (n-1)/n. `elchat` has `rates` instead.",
    )
    density: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of each difference that `ties` (the largest) or `dare` (random) keeps.",
    )
    special: Literal["chat", "own"] = Field(
        "chat",
        description="Where the rows of control tokens such as BOS come from in `chat-vector` and "
        "`elchat`, whatever `tables` says: the chat model, in `chat-vector` with the share "
        "`weight`, at most 1 (`chat`); or where all other rows come from (`own`).",
    )
    tables: Literal["shared", "own"] = Field(
        "shared",
        description="Merge the embedding rows of tokens that all models have too (`shared`), or "
        "keep this model's rows but for what `special` says (`own`). `elchat` always keeps them.",
    )
    layers: tuple[int, ...] = Field(
        (0, 1, -2, -1), description="Layers that `elchat` moves; negative ones count from the end."
    )
    rates: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.3, 0.5, 0.5, 0.3), description="Share of the chat model in each of these layers."
    )
    seed: int = Field(0, description="Seed of what `dare` keeps.")

    @property
    def needs_base(self) -> bool:
        """Whether the method takes differences from a base."""
        return self.method in ("chat-vector", "shadow-ft", "ties", "dare")

    @property
    def of_two(self) -> bool:
        """Whether the method merges a model with one other only."""
        return self.method in ("chat-vector", "shadow-ft", "elchat", "slerp")

    @model_validator(mode="after")
    def _consistent(self) -> "MergeSettings":
        if len(self.layers) != len(self.rates):
            raise ValueError(
                f"{len(self.layers)} layers have {len(self.rates)} rates; give one each"
            )
        if self.method in ("linear", "slerp") and self.weight > 1:
            raise ValueError(f"weight is {self.weight}; a share is between 0 and 1")
        return self
