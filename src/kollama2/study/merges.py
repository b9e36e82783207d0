"""Merges: refuse models of different architecture before anything is computed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kollama2.engine.graph import closure
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.stages import ExpandBlocks, Merge, Model, Source
from kollama2.study.shape import config_file, start_of
from kollama2.train.merging.settings import SHAPE


def check_merges(targets: Iterable[Stage], store: Store) -> None:
    """Refuse merges of models whose configurations are at hand and differ in more than vocabulary.

    At hand are built-in models, folders, and what the store holds; a merge of others is checked
    when it begins, before any weight is read.

    Raises:
        BadUsage: says which value of which model differs.
    """
    merges = {
        name: stage
        for target in targets
        for name, stage in closure(target).items()
        if isinstance(stage, Merge)
    }
    for merge in merges.values():
        models = [merge.model, *merge.others, *([merge.base] if merge.base else [])]
        known = [(_named(one), found) for one in models if (found := _config(one, store))]
        for name, config in known[1:]:
            first, ours = known[0]
            for key in SHAPE:
                if config.get(key) != ours.get(key):
                    raise BadUsage(
                        f"{merge.settings.method}: {name} has {key} {config.get(key)} and {first} "
                        f"has {ours.get(key)}; only models of one architecture can be merged"
                    )


def _config(model: Model, store: Store) -> Mapping[str, Any] | None:
    """The configuration of a model that may not be computed yet; None where it is not at hand."""
    if isinstance(model, Source):
        file = config_file(model, store)
        try:
            found: Any = json.loads(file.read_text(encoding="utf-8")) if file else None
        except (OSError, ValueError):
            return None  # what is wrong with it is said when it is loaded
        if not isinstance(found, dict):
            return None
        # An absent number of key heads means one for each head.
        return {
            **found,
            "num_key_value_heads": found.get("num_key_value_heads")
            or found.get("num_attention_heads"),
        }
    config = _config(model.model, store)
    if config is not None and isinstance(model, ExpandBlocks):
        layers = config.get("num_hidden_layers") or 0
        return {**config, "num_hidden_layers": layers + layers // model.every}
    return config


def _named(model: Model) -> str:
    """What a person calls it: where it began, and whether anything was done to it."""
    start = start_of(model)
    return start.uri if start is model else f"what is made of {start.uri}"
