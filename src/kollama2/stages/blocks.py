"""ExpandBlocks: a deeper model that computes the same, whose new blocks are to be trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt

from kollama2.engine.stage import Stage, Work
from kollama2.stages.folders import model_folder

if TYPE_CHECKING:
    from kollama2.stages.models import Model, Tokens


class ExpandBlocks(Stage):
    """LLaMA-Pro: after every few blocks a copy of the last one that adds nothing yet.

    Attributes:
        model: the model that grows.
        every: blocks in front of each new one.
    """

    kind: Literal["expand_blocks"] = "expand_blocks"
    model: "Model"
    every: PositiveInt = 4

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.blocks",)

    @property
    def tokenizer_stage(self) -> "Tokens":
        """The stage whose tokenizer this model has."""
        return self.model.tokenizer_stage

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.train.blocks import expand_blocks

        return expand_blocks(model_folder(work, self.model), work.out / "model", self.every)
