"""Parameter groups of the optimiser: rates and decay that differ between weights."""

from typing import Any

from kollama2.model.tables import of_table, table_names
from kollama2.train.settings import TrainSettings


def split_groups(model: Any, optimizer: Any, settings: TrainSettings) -> None:
    """Give tables their own rate and take decay from shielded weights, in place.

    Decay would move the frozen columns of a shielded weight, whose gradient is zero.

    Args:
        model: the model whose parameters the optimiser has.
        optimizer: AdamW with its groups.
        settings: `embedding_lr` and `shield`.
    """
    special: dict[int, dict[str, float]] = {}
    tables = table_names(model)
    for name, weight in model.named_parameters():
        if settings.embedding_lr is not None and of_table(name, tables):
            special[id(weight)] = {"lr": settings.embedding_lr}
        elif settings.shield and hasattr(weight, "shielded"):
            special[id(weight)] = {"weight_decay": 0.0}
    for group in list(optimizer.param_groups):
        ours = [w for w in group["params"] if id(w) in special]
        group["params"] = [w for w in group["params"] if id(w) not in special]
        for changes in ({"lr": settings.embedding_lr}, {"weight_decay": 0.0}):
            chosen = [w for w in ours if special[id(w)] == changes]
            if chosen:
                rest = {key: value for key, value in group.items() if key != "params"}
                optimizer.add_param_group({**rest, **changes, "params": chosen})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
