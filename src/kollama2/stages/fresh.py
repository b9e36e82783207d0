"""Fresh: the shape and tokenizer of a model with random weights, the control for what it knew."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from kollama2.engine.stage import Work
from kollama2.stages.models import ChangedModel
from kollama2.stages.source import Source


class Fresh(ChangedModel):
    """A model of the same shape and tokenizer that has learned nothing."""

    kind: Literal["fresh"] = "fresh"
    model: Source
    seed: int = 0

    preload: ClassVar[tuple[str, ...]] = ("kollama2.model.write",)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.model.write import random_like

        random_like(self.model.folder(work), work.out / "model", self.seed)
        return {}
