"""Preference tuning: direct preference optimisation (DPO) by TRL, on pairs of token ids.

Source: Rafailov et al. 2023, Direct Preference Optimization (arXiv 2305.18290).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.locale import mark
from kollama2.model.adapter import quiet_peft
from kollama2.model.write import write_model
from kollama2.train import checkpoint
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.prepare import prepare, trained
from kollama2.train.record import Curve, read, sizes
from kollama2.train.trainer import Diverged, Resuming, arguments, no_tokenizer


class PairIds(TypedDict):
    """Token ids of a prompt and of the two answers, each with what ends it."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]


def prefer(
    settings: PreferSettings,
    pairs: Sequence[PairIds],
    *,
    model: Path,
    out: Path,
    scratch: Path,
    template: str,
    resources: Resources,
    progress: Callable[..., None],
) -> dict[str, Any]:
    """Tune a model folder on preferences; the same call continues after an interruption.

    The reference is the model as it was; a resumed full tuning computes its scores again.

    Arguments as those of `loop.train`; the pairs were encoded with `template`, and `progress` is
    called after each step with (done, total, "steps", loss=, accuracy=).

    Returns:
        `steps`, `pairs`, `flops` (as `record.figures`, the reference's among them), and of the
        last tenth of the steps `loss`, `accuracy` (share of pairs whose chosen answer has the
        higher reward) and `margin` (of the rewards).

    Raises:
        BadData: there are no pairs.
        BadUsage: `scratch` belongs to another tuning.
        Diverged: the loss is no longer a number.
    """
    if not pairs:
        raise BadData("there are no preference pairs to learn from")
    progress(0, 0, mark("loading the model"))
    torch.set_num_threads(resources.threads)
    torch.manual_seed(settings.seed)
    network = prepare(model, settings.training(), resources.device)
    steps = settings.steps or math.ceil((settings.epochs or 1) * len(pairs) / settings.batch)
    identity = {"settings": settings.model_dump(mode="json"), "pairs": len(pairs)}
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    folder, done = checkpoint.newest(scratch, identity) or (None, 0)
    with closing(_Record(out / "metrics.jsonl", steps, done, progress)) as record, quiet_peft():
        trainer = _Trainer(
            model=network,
            args=_arguments(settings, steps, scratch, resources),
            train_dataset=Dataset.from_list([dict(pair) for pair in pairs]),
            processing_class=no_tokenizer(),
        )
        trainer.add_callback(record)
        trainer.keep(record.sync, identity, resources.checkpoint_seconds)
        trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    write_model(
        network,
        out / "model",
        base=model,
        method=settings.method,
        template=template,
        recipe={"prefer": settings.model_dump(mode="json")},
    )
    lines = read(out / "metrics.jsonl")
    tail = lines[-max(1, len(lines) // 10) :]
    ends = {name: sum(line[name] for line in tail) / len(tail) for name in _FIGURES}
    flops = _flops(network, settings, steps, pairs)
    return {"steps": steps, "pairs": len(pairs), "flops": flops, **ends}


def _flops(network: Any, settings: PreferSettings, steps: int, pairs: Sequence[PairIds]) -> int:
    """Of both answers with their prompts; the reference runs forward with each, or once for all."""
    size = sizes(network)
    whole = size.body + size.table
    longest = settings.max_length
    tokens = sum(
        min(longest, len(one["prompt_ids"]) + len(answer))
        for one in pairs
        for answer in (one["chosen_ids"], one["rejected_ids"])
    )
    seen = round(tokens / len(pairs) * steps * settings.batch)
    if settings.method == "full":
        return 6 * whole * seen + 2 * whole * tokens
    # The library keeps the adapter's start as a second one, which is not trained.
    adapter = sum(weight.numel() for _, weight in trained(network))
    return (4 * whole + 6 * adapter + 2 * whole) * seen


_FIGURES = {"loss": "loss", "accuracy": "rewards/accuracies", "margin": "rewards/margins"}


class _Trainer(Resuming, DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on pairs that are encoded already; nothing of it leaves the machine."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def training_step(self, *arguments: Any, **more: Any) -> Any:
        """As the library's; nothing random in a step depends on what went before."""
        torch.manual_seed(self.args.seed * 1_000_003 + self.state.global_step)
        return super().training_step(*arguments, **more)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep no history, which would grow with every step."""
        super().log(logs, start_time)
        self.state.log_history.clear()

    def broken(self) -> Diverged:
        """Names the step."""
        return Diverged(f"step {self.state.global_step}: a weight is no number; lower lr")


class _Record(Curve):
    """Writes a line a step, and stops where the loss is no longer a number."""

    def __init__(self, path: Path, steps: int, done: int, progress: Callable[..., None]) -> None:
        super().__init__(path, done, "tune")
        self.steps, self.progress = steps, progress

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" not in logs:
            return
        line = {"step": state.global_step, "lr": logs["learning_rate"]}
        line |= {name: float(logs[key]) for name, key in _FIGURES.items()}
        if not math.isfinite(line["loss"]):
            raise Diverged(f"step {state.global_step}: the loss is {line['loss']}; lower lr")
        self.write(line)
        figures = {"loss": line["loss"], "accuracy": line["accuracy"]}
        self.progress(state.global_step, self.steps, mark("steps"), **figures)


def _arguments(
    settings: PreferSettings, steps: int, scratch: Path, resources: Resources
) -> DPOConfig:
    # One pair is two rows; a micro-batch holds as many as the profile's tokens allow.
    at_once = max(1, resources.micro_batch_tokens // (2 * settings.max_length))
    at_once = next(n for n in range(min(at_once, settings.batch), 0, -1) if settings.batch % n == 0)
    return DPOConfig(
        **arguments(scratch, steps, settings.lr, settings.seed, resources),
        beta=settings.beta,
        max_length=settings.max_length,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=settings.batch // at_once,
        lr_scheduler_type=settings.schedule,
        warmup_steps=math.ceil(settings.warmup * steps),
        weight_decay=0.0,
        # A second copy of the model is not needed where the reference never changes.
        precompute_ref_log_probs=settings.method == "full",
        report_to="none",
        data_seed=settings.seed,
    )
