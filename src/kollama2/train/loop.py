"""The one training loop, for continued pre-training and fine-tuning, on TRL's SFTTrainer."""

import json
import math
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from trl import SFTConfig, SFTTrainer

from kollama2.engine.profile import Resources
from kollama2.errors import BadData, BadUsage, Missing
from kollama2.locale import mark
from kollama2.model.card import read_card
from kollama2.model.write import write_model, write_rows
from kollama2.train import checkpoint
from kollama2.train.attention import by_document, side_by_side
from kollama2.train.average import Average
from kollama2.train.batches import BatchPlan, Rows, micro_batches
from kollama2.train.forward import learn, tensors
from kollama2.train.freeze import Freezing
from kollama2.train.groups import differing, split_groups
from kollama2.train.memory import keep_freed_memory
from kollama2.train.prepare import prepare, trained
from kollama2.train.ranks import Ranks, together
from kollama2.train.record import TrainCurve, figures, read
from kollama2.train.schedule import factor
from kollama2.train.settings import TrainSettings
from kollama2.train.shield import shield
from kollama2.train.tables import plain
from kollama2.train.trainer import Diverged, Resuming, arguments, no_tokenizer


def train(
    settings: TrainSettings,
    *,
    model: Path,
    rows: Path,
    out: Path,
    scratch: Path,
    resources: Resources,
    progress: Callable[..., None],
    calibration: Path | None = None,
) -> dict[str, Any]:
    """Train a model folder on encoded rows; the same call continues after an interruption.

    Args:
        settings: what changes the result.
        model: the model folder to start from.
        rows: folder with `rows.parquet` and `encoding.json`.
        out: gets `model/` and `metrics.jsonl`.
        scratch: checkpoints; the caller removes it when the result is safe.
        resources: what changes only the speed.
        progress: called with (0, 0, "loading the model"), then before the first step and after each
            with (done, total, "steps", loss=, tokens_per_second=).
        calibration: folder of encoded rows whose columns `settings.shield` freezes.

    Returns:
        Figures of the training, see `record.figures`; with a shield how much it froze.

    Raises:
        BadData: model or rows are not fit for training, or the loss is no longer a number
            (`Diverged`; checkpoints stay as they are).
        BadUsage: the settings do not fit the model, `scratch` belongs to another training, or a
            shield has no calibration rows.
        Missing: the method needs a kernel that is not here, or the tracker is not installed.
    """
    if resources.report_to != "none" and find_spec(resources.report_to) is None:
        raise Missing(
            f"report_to is {resources.report_to!r}, but that package is not installed; "
            f"pip install {resources.report_to}"
        )
    if settings.shield and calibration is None:
        raise BadUsage(f"shield is {settings.shield}, but no calibration rows are given")
    progress(0, 0, mark("loading the model"))
    torch.set_num_threads(resources.threads)
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    with together(resources.device) as ranks:
        table = Rows(rows, scratch)
        plan = BatchPlan(table, settings)
        network = prepare(model, settings, resources.device)
        check_fit(network, plan)
        frozen: dict[str, Any] = {}
        if settings.shield and calibration is not None:
            old = Rows(calibration, scratch)
            frozen = shield(network, old, settings.shield, seed=settings.seed)
        identity = {"settings": settings.model_dump(mode="json"), "rows": len(table)}
        with ranks.in_turn():
            folder, done = checkpoint.newest(scratch, identity) or (None, 0)
        loop = Loop(settings, plan, network, resources, scratch, ranks)
        if settings.freezing != "none":
            loop.freezing = Freezing(network, model, settings.freezing, plan.steps)
        if not ranks.first:
            loop.run(folder)
            return {}
        with closing(TrainCurve(out / "metrics.jsonl", plan, done, progress)) as record:
            loop.add_callback(record)
            loop.within = record.within
            loop.keep(record.sync, identity, resources.checkpoint_seconds)
            loop.run(folder)
    about = rows / "encoding.json"
    encoding = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    answer = figures(read(out / "metrics.jsonl"), network, settings)
    write_model(
        network,
        out / "model",
        base=model,
        method=settings.method,
        template=encoding.get("template"),
        recipe={"train": identity["settings"]},
    )
    grown = read_card(out / "model").vocabulary
    if settings.method != "full" and grown is not None and grown.base:
        write_rows(model, out / "model")
    return {**answer, **frozen}


def check_fit(network: Any, plan: BatchPlan) -> None:
    """Refuse rows without a label, or that the model has no embeddings or positions for.

    Raises:
        BadData: no label, a token id beyond the embeddings, or a document beyond the positions.
    """
    text = network.config.get_text_config()
    highest = plan.rows.highest_id()
    if highest >= text.vocab_size:
        raise BadData(
            f"{plan.rows.path} has token {highest}, but the model embeds {text.vocab_size}; "
            "encode the data with the model's own tokenizer"
        )
    if not plan.rows.any_label():
        raise BadData(f"{plan.rows.path}: no token of any row has a label, so there is no loss")
    longest = int((plan.parts[:, 2] - plan.parts[:, 1]).max())
    positions = getattr(text, "max_position_embeddings", longest)
    if longest > positions:
        raise BadData(
            f"a row has {longest} tokens and the model {positions} positions; "
            f"set max_length to {positions}"
        )


class Loop(Resuming, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer whose batch is a step of a plan: no padding, no pickle, no side effects.

    One item of the dataset is one optimiser step; `training_step` cuts it into micro-batches. The
    loss is the mean over all labelled tokens of the step, however it is cut.
    """

    def __init__(
        self,
        settings: TrainSettings,
        plan: BatchPlan,
        network: Any,
        resources: Resources,
        scratch: Path,
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> None:
        self.settings = settings
        self.plan = plan
        self.ranks = ranks
        self.micro = resources.micro_batch_tokens
        self.sums: dict[str, int] = {}
        self.average: Average = Average(settings, plan.steps, network)
        self.freezing: Freezing | None = None
        self.plain = False
        self.within: Callable[[float], None] = lambda done: None
        super().__init__(
            model=network,
            args=_arguments(settings, plan, resources, scratch),
            train_dataset=Dataset.from_dict({"step": range(plan.steps)}),
            data_collator=lambda items: self.batch(items[0]["step"]),
            processing_class=no_tokenizer(),
        )
        self.processing_class = None  # the model's special tokens are its own
        self.add_callback(self.average)

    def run(self, folder: Path | None = None) -> None:
        """Train from the beginning, or from a checkpoint."""
        keep_freed_memory()
        self.plain = side_by_side(self.model) and plain(self.model, self.args.device)
        with by_document(self.model):
            self.train(resume_from_checkpoint=str(folder) if folder else None)
        self.average.apply(self.model)

    def batch(self, step: int) -> dict[str, Any]:
        """The tensors of this process's part of a step, and what is in the whole step."""
        parts = self.plan.step(step)
        tokens = sum(part.length for part in parts)
        room = min(self.micro, -(-tokens // self.ranks.size)) if self.ranks.size > 1 else self.micro
        micro = [tensors(self.plan.rows, run) for run in micro_batches(parts, room)]
        text, hangul = self.plan.seen(parts)
        return {
            "micro_batches": self.ranks.mine([m for m in micro if m["targets"].numel()]),
            "tokens": tokens,
            "trained_tokens": sum(m["targets"].numel() for m in micro),
            "bytes": text,
            "ko_bytes": hangul,
        }

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Forward and backward of a whole step; answers its mean loss."""
        model.train()
        # Dropout of a step depends on nothing that went before, so a resumed training draws alike.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.state.global_step)
        if self.freezing is not None:
            self.freezing.begin(self.state.global_step)
        device = self.args.device.type
        total = torch.zeros((), device=device)
        narrow = self.settings.dtype == "bfloat16"
        with torch.autocast(device, torch.bfloat16, narrow):  # around all: weights are cast once
            for number, micro in enumerate(inputs["micro_batches"]):
                if number:
                    self.within(self.state.global_step + number / len(inputs["micro_batches"]))
                total += learn(model, micro, 1 / inputs["trained_tokens"], self.plain)
        if self.ranks.size > 1:
            self.ranks.add_up([*_gradients(self.model), total])
        if self.freezing is not None:
            self.freezing.end_step(self.state.global_step)
        if not torch.isfinite(total):
            raise self._diverged("loss", float(total), self.state.global_step)
        self.sums = {k: v for k, v in inputs.items() if k != "micro_batches"}
        return total

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if not math.isfinite(norm):
            raise self._diverged("norm of the gradient", float(norm), self.state.global_step)
        return norm

    def _diverged(self, what: str, value: float, step: int) -> Diverged:
        names = self.plan.rows.names(sorted({part.row for part in self.plan.step(step)}))
        shown = ", ".join(names[:64]) + (f" and {len(names) - 64} more" if len(names) > 64 else "")
        return Diverged(
            f"step {step + 1}: the {what} is {value}; lower lr ({self.settings.lr:g}) or look at "
            f"the rows {shown}"
        )

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW; tables with a rate of their own, shielded or frozen rows without decay."""
        optimizer = super().create_optimizer(model)
        frozen = self.freezing is not None
        split_groups(optimizer, differing(self.model, self.settings, frozen))
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of the settings, a function of the step alone."""
        assert num_training_steps == self.plan.steps
        self.lr_scheduler = LambdaLR(
            optimizer or self.optimizer,
            lambda step: factor(step, self.plan.steps, self.settings),
        )
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the step saw; keep no history, which would grow with every step."""
        if "loss" in logs:
            super().log({**logs, **self.sums}, start_time)
        self.state.log_history.clear()

    def floating_point_ops(self, inputs: Any) -> int:
        """Counted by `record.figures` instead."""
        return 0

    def broken(self) -> Diverged:
        """Names the rows of the step."""
        return self._diverged("largest weight", math.nan, self.state.global_step - 1)


def _gradients(model: Any) -> list[Tensor]:
    """The gradients of what is trained; zero where this process computed none."""
    found = []
    for _, weight in trained(model):
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        found.append(weight.grad)
    return found


def _arguments(
    settings: TrainSettings, plan: BatchPlan, resources: Resources, scratch: Path
) -> SFTConfig:
    config = SFTConfig(
        **arguments(scratch, plan.steps, settings.lr, settings.seed, resources),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        max_grad_norm=settings.max_grad_norm or math.inf,
        optim="adamw_torch_fused",
        activation_checkpointing_kwargs={"use_reentrant": False},
        report_to=resources.report_to,
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    if config.n_gpu > 1:
        config._n_gpu = 1  # one process, one device: several visible ones mean nn.DataParallel
    return config
