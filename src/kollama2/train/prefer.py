"""Preference tuning: direct preference optimisation (DPO) by TRL, on pairs of token ids.

Source: Rafailov et al. 2023, Direct Preference Optimization (arXiv 2305.18290).
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.train.load import prepare, quiet_peft, trained
from kollama2.train.loop import Diverged
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.save import write_model


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
    template: str,
    resources: Resources,
    progress: Callable[..., None],
) -> dict[str, Any]:
    """Tune a model folder on preferences; writes `model/` and `metrics.jsonl` into `out`.

    The reference is the model as it was. An interrupted tuning begins anew: it is short, and the
    optimiser's checkpoints of the library are pickles.

    Args:
        settings: what changes the result.
        pairs: what is preferred to what.
        model: the folder to start from.
        out: the folder of the result.
        template: chat template that the pairs were encoded with.
        resources: what changes only the speed.
        progress: called after each step with (done, total, "steps", loss=, accuracy=).

    Returns:
        `steps`, `pairs`, and of the last tenth of the steps `loss`, `accuracy` (share of pairs
        whose chosen answer has the higher reward) and `margin` (of the rewards).

    Raises:
        BadData: there are no pairs.
        Diverged: the loss is no longer a number.
    """
    if not pairs:
        raise BadData("there are no preference pairs to learn from")
    torch.set_num_threads(resources.threads)
    torch.manual_seed(settings.seed)
    network = prepare(model, settings.training(), resources.device)
    steps = settings.steps or math.ceil((settings.epochs or 1) * len(pairs) / settings.batch)
    record = _Record(out / "metrics.jsonl", steps, progress)
    before = {name: weight.data for name, weight in trained(network)}
    with quiet_peft():
        trainer = _Trainer(
            model=network,
            args=_arguments(settings, steps, out, resources),
            train_dataset=Dataset.from_list([dict(pair) for pair in pairs]),
            processing_class=_padding(),
        )
        for name, weight in trained(network):
            weight.data = before[name]  # TRL may narrow an adapter's weights
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(record)
        trainer.train()
    write_model(
        network,
        out / "model",
        base=model,
        method=settings.method,
        template=template,
        recipe={"prefer": settings.model_dump(mode="json")},
    )
    tail = record.lines[-max(1, len(record.lines) // 10) :]
    ends = {name: sum(line[name] for line in tail) / len(tail) for name in _FIGURES}
    return {"steps": steps, "pairs": len(pairs), **ends}


_FIGURES = {"loss": "loss", "accuracy": "rewards/accuracies", "margin": "rewards/margins"}


class _Trainer(DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on pairs that are encoded already; nothing of it leaves the machine."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _send_telemetry(self) -> None:
        pass


class _Record(TrainerCallback):  # type: ignore[misc]
    """Writes a line a step and stops where the loss is no longer a number."""

    def __init__(self, path: Path, steps: int, progress: Callable[..., None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.path, self.steps, self.progress = path, steps, progress
        self.lines: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" not in logs:
            return
        line = {"step": state.global_step, "lr": logs["learning_rate"]}
        line |= {name: float(logs[key]) for name, key in _FIGURES.items()}
        if not math.isfinite(line["loss"]):
            raise Diverged(f"step {state.global_step}: the loss is {line['loss']}; lower lr")
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.progress(
            state.global_step, self.steps, "steps", loss=line["loss"], accuracy=line["accuracy"]
        )


def _padding() -> PreTrainedTokenizerFast:
    """What pads a batch: the pairs hold token ids already, and padding is masked."""
    pad = "<pad>"
    words = Tokenizer(WordLevel({pad: 0}, unk_token=pad))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=pad, eos_token=pad)


def _arguments(settings: PreferSettings, steps: int, out: Path, resources: Resources) -> DPOConfig:
    # One pair is two rows; a micro-batch holds as many as the profile's tokens allow.
    at_once = max(1, resources.micro_batch_tokens // (2 * settings.max_length))
    at_once = next(n for n in range(min(at_once, settings.batch), 0, -1) if settings.batch % n == 0)
    return DPOConfig(
        output_dir=str(out),
        beta=settings.beta,
        max_length=settings.max_length,
        max_steps=steps,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=settings.batch // at_once,
        learning_rate=settings.lr,
        lr_scheduler_type=settings.schedule,
        warmup_steps=math.ceil(settings.warmup * steps),
        weight_decay=0.0,
        # A second copy of the model is not needed where the reference never changes.
        precompute_ref_log_probs=settings.method == "full",
        bf16=False,
        fp16=False,
        activation_checkpointing=resources.gradient_checkpointing,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        dataloader_pin_memory=False,
        use_cpu=resources.device == "cpu" or not torch.cuda.is_available(),
    )
