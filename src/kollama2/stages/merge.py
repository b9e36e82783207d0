"""Merge: a model from the weights of others, without training."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from kollama2.engine.stage import Work
from kollama2.stages.models import ChangedModel, ModelStage
from kollama2.train.merging.settings import MergeSettings


class Merge(ChangedModel):
    """A model merged with others.

    Attributes:
        model: the model that is changed; tokenizer and dtype of the result are its own.
        others: what it is merged with.
        base: what differences are taken from.
        settings: the method and its numbers.
        template: chat template of the result, where the models' cards do not say it.
    """

    kind: Literal["merge"] = "merge"
    others: tuple[ModelStage, ...]
    settings: MergeSettings
    base: ModelStage | None = None
    template: str | None = None

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.merging.merge",)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`; the metrics begin with the relative gap."""
        from kollama2.train.merging.merge import merge_models

        return merge_models(
            self.settings,
            work.out / "model",
            ours=self.model.folder(work),
            others=[other.folder(work) for other in self.others],
            base=self.base.folder(work) if self.base is not None else None,
            template=self.template,
            progress=work.progress,
        )
