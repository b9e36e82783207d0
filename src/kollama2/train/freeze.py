"""Freeze: which weights of a grown model learn in which part of a training.

A row whose gradient is zero still moves under weight decay, and a frozen tensor moves on by its
moments; so frozen tensors get no gradient at all, and no table decays while rows of it are frozen.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from kollama2.errors import BadUsage
from kollama2.model.card import read_card
from kollama2.model.tables import of_table, table_names, tied

Part = Literal["new-embed", "new-head", "embed", "head", "body", "edges"]

NEW: frozenset[Part] = frozenset({"new-embed", "new-head"})
TABLES: frozenset[Part] = frozenset({"embed", "head"})
ALL: frozenset[Part] = frozenset({"embed", "head", "body"})
PHASES: dict[str, list[frozenset[Part]]] = {
    "new-rows": [NEW],
    "rows-then-all": [NEW, TABLES, ALL],
    # EEVE's seven stages (arXiv 2402.14714, figure 3), here of equal length.
    "eeve": [
        frozenset({"new-embed"}),
        frozenset({"new-head"}),
        NEW,
        frozenset({"head"}),
        frozenset({"new-embed", "head"}),
        ALL,
        frozenset({"body"}),
    ],
    # Embeddings, head and two layers at both ends (Yamaguchi et al. 2024, arXiv 2406.11477).
    "two-by-two": [TABLES | {"edges"}],
}
TIED: dict[str, list[frozenset[Part]]] = {"eeve": [NEW, ALL, frozenset({"body"})]}
"""Where the head is the embeddings, the stages that move one of them alone fall together."""
_EDGE = 2
_LAYER = re.compile(r"\.layers\.(\d+)\.")


@dataclass(frozen=True)
class _Tensor:
    """A trainable tensor and what it is part of."""

    name: str
    weight: torch.nn.Parameter
    table: Literal["embed", "head"] | None
    edge: bool


class Freezing:
    """The schedule of one training.

    Args:
        network: as `load.prepare` made it.
        folder: the model folder it came from; its card says where the new rows are.
        schedule: a name in `PHASES`.
        steps: of the training.

    Raises:
        BadUsage: the vocabulary of the model never grew, or its embeddings are not trained.
    """

    def __init__(self, network: Any, folder: Path, schedule: str, steps: int) -> None:
        about = read_card(folder).vocabulary
        if about is None or not about.new:
            raise BadUsage(
                f"freezing {schedule} trains new rows, but the vocabulary of {folder} never grew"
            )
        phases = TIED.get(schedule) if tied(network) else None
        self.phases: list[frozenset[Part]] = phases or PHASES[schedule]
        self.starts = [round(steps * i / len(self.phases)) for i in range(len(self.phases))]
        layers = int(network.config.get_text_config().num_hidden_layers)
        tables = table_names(network)
        self.tensors = [
            _Tensor(name, weight, of_table(name, tables), _edge(name, layers))
            for name, weight in network.named_parameters()
            if weight.requires_grad
        ]
        if not any(one.table for one in self.tensors):
            raise BadUsage(f"freezing {schedule} trains embeddings; set train_embeddings: true")
        self.first, self.end = about.first, about.size

    def begin(self, step: int) -> None:
        """Freeze what does not learn in a step (counted from 0), before its forward pass."""
        phase = self._phase(step)
        for one in self.tensors:
            one.weight.requires_grad_(self._learns(one, phase) != "nothing")

    def end_step(self, step: int) -> None:
        """Drop the gradient of frozen rows, and let every tensor be trainable again."""
        phase = self._phase(step)
        for one in self.tensors:
            one.weight.requires_grad_(True)
            if self._learns(one, phase) == "rows" and one.weight.grad is not None:
                one.weight.grad[: self.first] = 0
                one.weight.grad[self.end :] = 0

    def _phase(self, step: int) -> frozenset[Part]:
        return self.phases[bisect_right(self.starts, step) - 1]

    def _learns(self, one: _Tensor, phase: frozenset[Part]) -> Literal["all", "rows", "nothing"]:
        if one.table is None:
            return "all" if "body" in phase or (one.edge and "edges" in phase) else "nothing"
        if one.table in phase:
            return "all"
        return "rows" if f"new-{one.table}" in phase else "nothing"


def _edge(name: str, layers: int) -> bool:
    found = _LAYER.search(name)
    return found is not None and not _EDGE <= int(found[1]) < layers - _EDGE
