"""What models must have in common to be merged: one architecture, and rows that mean one token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kollama2.errors import BadUsage
from kollama2.model.load import check, root
from kollama2.model.weights import Weights
from kollama2.train.merging.settings import SHAPE


def same_shape(folders: Sequence[Path]) -> None:
    """Refuse models that are not of one architecture; reads their configurations alone.

    Raises:
        BadUsage: says which value of which model differs.
    """
    first, *others = ((folder, check(root(folder))) for folder in folders)
    for folder, config in others:
        for name in SHAPE:
            ours, theirs = (_value(one, name) for one in (first[1], config))
            if ours != theirs:
                raise BadUsage(
                    f"{folder} has {name} {theirs} and {first[0]} has {ours}; only models of one "
                    "architecture can be merged"
                )


def _value(config: Any, name: str) -> Any:
    """A value of a configuration; sizes are those of its language model."""
    return getattr(config if name == "model_type" else config.get_text_config(), name, None)


def shared_rows(ours: Weights, other: Weights) -> tuple[Tensor, Tensor] | None:
    """Rows of the tables that mean the same token: ids of ours and of the other.

    None where both have one vocabulary, so that the tables are aligned as they are.
    """
    sizes = {model.get(model.tables.embed).shape[0] for model in (ours, other)}
    if ours.tokens == other.tokens and len(sizes) == 1:
        return None
    pairs = [
        (at, other.tokens[piece]) for piece, at in ours.tokens.items() if piece in other.tokens
    ]
    if not pairs:
        raise BadUsage(f"{ours.folder} and {other.folder} share no token; they cannot be merged")
    mine, theirs = zip(*sorted(pairs), strict=True)
    return torch.tensor(mine), torch.tensor(theirs)
