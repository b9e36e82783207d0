"""Parameter groups of the optimiser: rates and decay that differ between weights."""

from collections.abc import Mapping
from typing import Any

from kollama2.model.tables import of_table, table_names
from kollama2.train.settings import TrainSettings


def differing(model: Any, settings: TrainSettings, frozen: bool) -> dict[int, dict[str, float]]:
    """What the optimiser does otherwise with some weights, by their ids.

    Tables have `embedding_lr`. Decay would move what has no gradient: the frozen columns of a
    shielded weight, and the frozen rows of a table.
    """
    special: dict[int, dict[str, float]] = {}
    tables = table_names(model)
    for name, weight in model.named_parameters():
        table, changes = of_table(name, tables), dict[str, float]()
        if settings.embedding_lr is not None and table:
            changes["lr"] = settings.embedding_lr
        if (frozen and table) or (settings.shield and hasattr(weight, "shielded")):
            changes["weight_decay"] = 0.0
        special[id(weight)] = changes
    return special


def split_groups(optimizer: Any, special: Mapping[int, Mapping[str, float]]) -> None:
    """Give weights with a rate or decay of their own groups of their own, in place."""
    for group in list(optimizer.param_groups):
        rest = {key: value for key, value in group.items() if key != "params"}
        moved: dict[tuple[tuple[str, float], ...], list[Any]] = {}
        for weight in group["params"]:
            changes = special[id(weight)].items() - rest.items()
            moved.setdefault(tuple(sorted(changes)), []).append(weight)
        group["params"] = moved.pop((), [])
        for changed, weights in moved.items():
            optimizer.add_param_group({**rest, **dict(changed), "params": weights})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
