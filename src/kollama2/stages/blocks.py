"""ExpandBlocks: a deeper model that computes the same, whose new blocks are to be trained."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import PositiveInt

from kollama2.engine.stage import Work
from kollama2.engine.store import Store
from kollama2.stages.models import ChangedModel


class ExpandBlocks(ChangedModel):
    """LLaMA-Pro: after every few blocks a copy of the last one that adds nothing yet.

    Attributes:
        model: the model that grows.
        every: blocks in front of each new one.
    """

    kind: Literal["expand_blocks"] = "expand_blocks"
    every: PositiveInt = 4

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.blocks",)

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """That of the model before, with more layers."""
        config = super().config(store, hub=hub)
        layers = config and config.get("num_hidden_layers")
        if config is None or not isinstance(layers, int):
            return config
        return {**config, "num_hidden_layers": layers + layers // self.every}

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.train.blocks import expand_blocks

        return expand_blocks(self.model.folder(work), work.out / "model", self.every)
