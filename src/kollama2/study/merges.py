"""Merges: refuse models of different architecture before anything is computed."""

from collections.abc import Iterable, Mapping
from typing import Any

from kollama2.engine.graph import closure
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.stages import Merge, ModelStage, Source
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


def _config(model: ModelStage, store: Store) -> Mapping[str, Any] | None:
    """The configuration of a model that may not be computed yet; None where it is not at hand."""
    config = model.config(store)
    if config is None:
        return None
    # An absent number of key heads means one for each head.
    heads = config.get("num_key_value_heads") or config.get("num_attention_heads")
    return {**config, "num_key_value_heads": heads}


def _named(model: ModelStage) -> str:
    """What a person calls it: where it began, and whether anything was done to it."""
    return model.origin if isinstance(model, Source) else f"what is made of {model.origin}"
