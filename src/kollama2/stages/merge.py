"""Merge: a model from the weights of others, without training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.stages.folders import model_folder
from kollama2.train.merging.settings import MergeSettings

if TYPE_CHECKING:
    from kollama2.stages.models import Model, Tokens


class Merge(Stage):
    """A model merged with others.

    Attributes:
        model: the model that is changed; tokenizer and dtype of the result are its own.
        others: what it is merged with.
        base: what differences are taken from.
        settings: the method and its numbers.
        template: chat template of the result, where the models' cards do not say it.
    """

    kind: Literal["merge"] = "merge"
    model: "Model"
    others: "tuple[Model, ...]"
    settings: MergeSettings
    base: "Model | None" = None
    template: str | None = None

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.merging.merge",)

    @property
    def tokenizer_stage(self) -> "Tokens":
        """The stage whose tokenizer this model has."""
        return self.model.tokenizer_stage

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`; the metrics begin with the relative gap."""
        from kollama2.train.merging.merge import merge_models

        return merge_models(
            self.settings,
            work.out / "model",
            ours=model_folder(work, self.model),
            others=[model_folder(work, other) for other in self.others],
            base=model_folder(work, self.base) if self.base is not None else None,
            template=self.template,
            progress=work.progress,
        )
