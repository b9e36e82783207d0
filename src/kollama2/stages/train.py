"""Train: continued pre-training and fine-tuning are one stage, which differs in its rows."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat

from kollama2.engine.stage import Stage, Work
from kollama2.stages.encode import Encode
from kollama2.stages.folders import model_folder
from kollama2.stages.order import Order
from kollama2.train.settings import TrainSettings

if TYPE_CHECKING:
    from kollama2.stages.models import Model, Tokens

TRAINING = ("kollama2.train.loop",)
Rows = Annotated[Encode | Order, Field(discriminator="kind")]


class Probe(Stage):
    """Short trainings at several learning rates; the best on held-out rows is used.

    Every method is compared at its own best learning rate (research shows that differences
    between methods at one shared rate are mostly differences of the rate).

    Attributes:
        model: where each short training starts.
        rows: the rows, of which the last few are held out.
        settings: everything but the learning rate.
        candidates: learning rates to try.
        share: share of the budget that one try gets.
    """

    kind: Literal["probe"] = "probe"
    model: "Model"
    rows: Rows
    settings: TrainSettings
    candidates: tuple[PositiveFloat, ...]
    share: float = Field(0.25, gt=0, le=1)

    preload: ClassVar[tuple[str, ...]] = TRAINING

    def run(self, work: Work) -> Mapping[str, Any]:
        """Try each candidate; write `probe.json` with the losses and the choice."""
        from kollama2.engine.commit import write_json
        from kollama2.train.probe import probe

        result: dict[str, Any] = probe(
            self.settings,
            self.candidates,
            share=self.share,
            model=model_folder(work, self.model),
            rows=work.path(self.rows),
            scratch=work.scratch,
            resources=work.resources,
            progress=work.progress,
        )
        write_json(work.out / "probe.json", result)
        return result


class Train(Stage):
    """A model, further trained on rows by full training, LoRA or QLoRA.

    Attributes:
        kind: `pretrain` for text, `finetune` for chats; the loop is the same.
        model: where training starts.
        rows: what it is trained on.
        settings: everything that decides the result.
        probe: when given, its choice replaces the learning rate of the settings.
        calibration: rows whose columns `settings.shield` freezes.
    """

    kind: Literal["pretrain", "finetune"]
    model: "Model"
    rows: Rows
    settings: TrainSettings
    probe: Probe | None = None
    calibration: Encode | None = None

    preload: ClassVar[tuple[str, ...]] = TRAINING
    shared: ClassVar[bool] = True

    @property
    def tokenizer_stage(self) -> "Tokens":
        """The stage whose tokenizer this model has."""
        return self.model.tokenizer_stage

    def run(self, work: Work) -> Mapping[str, Any]:
        """Train; write `model/` and `metrics.jsonl`."""
        from kollama2.train.loop import train

        settings = self.settings
        if self.probe is not None:
            choice = json.loads((work.path(self.probe) / "probe.json").read_text(encoding="utf-8"))
            settings = settings.model_copy(update={"lr": choice["lr"]})
        return train(
            settings,
            model=model_folder(work, self.model),
            rows=work.path(self.rows),
            out=work.out,
            scratch=work.scratch,
            resources=work.resources,
            progress=work.progress,
            calibration=work.path(self.calibration) if self.calibration is not None else None,
        )
