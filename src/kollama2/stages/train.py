"""Train: continued pre-training and fine-tuning are one stage, which differs in its rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat

from kollama2.engine.stage import Work
from kollama2.stages.costly import Costly, Count, bytes_at_hand, bytes_per_token
from kollama2.stages.derive import Derive
from kollama2.stages.encode import Encode
from kollama2.stages.models import ChangedModel
from kollama2.stages.order import Order
from kollama2.stages.source import Source
from kollama2.train.settings import TrainSettings


class _Learning(Costly):
    """What a training and its short tries have in common: rows and settings."""

    rows: Encode | Order = Field(discriminator="kind")
    settings: TrainSettings

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.loop",)

    @property
    def training(self) -> TrainSettings:
        """The settings."""
        return self.settings

    @property
    def trains_tables(self) -> bool:
        """Where that is asked for, or where new rows need it."""
        asked = self.settings.train_embeddings
        return self.model.new_rows if asked is None else asked

    @property
    def reads(self) -> Sequence[Source | Derive]:
        """The sources of the rows."""
        return self.rows.sources

    def tokens(self, count: Count) -> int | None:
        """Tokens that the whole budget reads."""
        settings, seen = self.settings, count(self.rows)
        width = bytes_per_token(self.rows.tokenizer)
        if settings.steps is not None:
            counted = seen is not None and seen["rows"] and not settings.packing
            row = seen["tokens"] / seen["rows"] if seen and counted else settings.max_length
            return round(settings.steps * settings.batch * row)
        if settings.epochs is not None:
            if seen:
                return round(settings.epochs * seen["tokens"])
            rows = self.rows
            size = rows.budget if isinstance(rows, Order) else bytes_at_hand(self.reads)
            return None if size is None else round(settings.epochs * size / width)
        kind = "ko_bytes" if settings.korean_bytes else "bytes"
        wanted = settings.korean_bytes or settings.bytes or 0
        ratio = seen["tokens"] / seen[kind] if seen and seen[kind] else 1 / width
        return round(wanted * ratio)


class Probe(_Learning):
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
    candidates: tuple[PositiveFloat, ...]
    share: float = Field(0.25, gt=0, le=1)

    @property
    def tries(self) -> int:
        """One for each candidate."""
        return len(self.candidates)

    def tokens(self, count: Count) -> int | None:
        """Tokens of one try."""
        whole = super().tokens(count)
        return None if whole is None else round(self.share * whole)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Try each candidate; write `probe.json` with the losses and the choice."""
        from kollama2.engine.commit import write_json
        from kollama2.train.probe import probe

        result: dict[str, Any] = probe(
            self.settings,
            self.candidates,
            share=self.share,
            model=self.model.folder(work),
            rows=work.path(self.rows),
            scratch=work.scratch,
            resources=work.resources,
            progress=work.progress,
        )
        write_json(work.out / "probe.json", result)
        return result


class Train(ChangedModel, _Learning):
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
    probe: Probe | None = None
    calibration: Encode | None = None

    shared: ClassVar[bool] = True

    @property
    def new_rows(self) -> bool:
        """None is left that was never trained."""
        return False

    def run(self, work: Work) -> Mapping[str, Any]:
        """Train; write `model/` and `metrics.jsonl`."""
        from kollama2.train.loop import train

        settings = self.settings
        if self.probe is not None:
            choice = json.loads((work.path(self.probe) / "probe.json").read_text(encoding="utf-8"))
            settings = settings.model_copy(update={"lr": choice["lr"]})
        return train(
            settings,
            model=self.model.folder(work),
            rows=work.path(self.rows),
            out=work.out,
            scratch=work.scratch,
            resources=work.resources,
            progress=work.progress,
            calibration=work.path(self.calibration) if self.calibration is not None else None,
        )
