"""The curve of a training: one JSON line a step in `metrics.jsonl`, none twice, none lost."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch.nn import Linear
from transformers import TrainerCallback

from kollama2.errors import Corrupt
from kollama2.locale import mark
from kollama2.model.tables import of_table, table_names
from kollama2.train.batches import BatchPlan
from kollama2.train.settings import TrainSettings

SUMS = ("tokens", "trained_tokens", "bytes", "ko_bytes", "seconds")


class Curve(TrainerCallback):  # type: ignore[misc]
    """Writes a `metrics.jsonl`; lines after step `done`, which a checkpoint holds, are dropped.

    Raises:
        Corrupt: the file has fewer lines than the checkpoint has steps.
    """

    def __init__(self, path: Path, done: int, again: str) -> None:
        lines = read(path)[:done]
        if len(lines) < done:
            raise Corrupt(
                f"{path} has {len(lines)} lines, but a checkpoint holds {done} steps; "
                f"remove the folder and {again} again"
            )
        self.last: dict[str, Any] = lines[-1] if lines else {}
        self.file = path.open("ab")
        self.file.truncate(end_of(path, done))

    def write(self, line: dict[str, Any]) -> None:
        """Add the line of a step."""
        self.file.write(json.dumps(line).encode() + b"\n")
        self.file.flush()

    def close(self) -> None:
        """No more lines follow."""
        self.file.close()

    def sync(self) -> None:
        """Bring the lines to the disk, so that a checkpoint never has more steps than lines."""
        os.fsync(self.file.fileno())


class TrainCurve(Curve):
    """Writes a line after each step and tells the caller how far the training is.

    `tokens`, `trained_tokens` (those with a loss), `bytes`, `ko_bytes` and `seconds` are sums
    since the start, also across a resume; `tokens_per_second` is the step's own.

    Args:
        path: of `metrics.jsonl`.
        plan: the steps.
        done: steps that a checkpoint holds already.
        progress: called with (steps done, steps in all, "steps", loss=, tokens_per_second=), the
            figures of the last whole step.
    """

    def __init__(
        self, path: Path, plan: BatchPlan, done: int, progress: Callable[..., None]
    ) -> None:
        self.plan = plan
        self.progress = progress
        super().__init__(path, done, "train")
        self.shown: dict[str, float] = {}
        self.sums: dict[str, Any] = {name: self.last.get(name, 0) for name in SUMS}
        self.started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how many steps there are before the first, which may take minutes."""
        self.within(state.global_step)

    def within(self, done: float) -> None:
        """Tell how far the training is, also in the midst of a step, which may take minutes."""
        self.progress(done, self.plan.steps, mark("steps"), **self.shown)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the step's clock."""
        self.started = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write the step's line from what the loop logged."""
        if "loss" not in logs:
            return
        seconds = time.perf_counter() - self.started
        more = {**logs, "seconds": seconds}
        self.sums = {name: self.sums[name] + more[name] for name in SUMS}
        speed = logs["tokens"] / seconds
        line = {
            "step": state.global_step,
            "epoch": self.plan.epoch(state.global_step - 1),
            "loss": logs["loss"],
            "lr": logs["learning_rate"],
            "grad_norm": logs["grad_norm"],
            **self.sums,
            "tokens_per_second": speed,
        }
        self.write(line)
        self.shown = {"loss": logs["loss"], "tokens_per_second": speed}
        self.within(state.global_step)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def figures(lines: list[dict[str, Any]], model: Any, settings: TrainSettings) -> dict[str, Any]:
    """What a finished training cost and reached, from its curve.

    `flops` counts multiplications and additions of the matrices only, without attention scores
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1): 2N a token forward, 2N for the gradient of
    the activations and 2N for that of the weights. Frozen weights have no gradient: 4N for them
    and 6A for the adapter's A parameters. N leaves the embeddings out, which are looked up, and
    counts the head for the trained tokens only, because it is computed nowhere else.

    `loss` is the last step's, `loss_end` the mean of the last tenth of the steps.
    """
    last = lines[-1]
    tail = lines[-max(1, len(lines) // 10) :]
    named = list(model.named_parameters())
    size = sizes(model)
    body, adapter, table = size.body, size.adapter, size.table
    names = table_names(model)
    head_trained = any(p.requires_grad for n, p in named if of_table(n, names))
    cost = 6 if settings.method == "full" else 4
    cost_head = 6 if head_trained else 4
    tokens, trained = last["tokens"], last["trained_tokens"]
    return {
        "steps": last["step"],
        "epochs": last["epoch"],
        **{name: last[name] for name in SUMS},
        "flops": (cost * body + 6 * adapter) * tokens + cost_head * table * trained,
        "trainable_parameters": sum(p.numel() for _, p in named if p.requires_grad),
        "total_parameters": parameters(model),
        "loss": last["loss"],
        "loss_end": sum(line["loss"] for line in tail) / len(tail),
        "tokens_per_second": tokens / last["seconds"],
    }


class WeightCounts(NamedTuple):
    """Weights of a network that decide what a token costs."""

    body: int
    """Of the linear layers of all blocks, and of the experts that a token passes through."""
    adapter: int
    table: int
    """Of the embeddings, and of the head."""


def sizes(model: Any) -> WeightCounts:
    """Count the weights of a network, an adapter's apart."""
    text = model.config.get_text_config()
    # NF4 packs two weights in a byte, so layers are counted by their shape.
    body = sum(
        layer.in_features * layer.out_features
        for name, layer in model.get_decoder().named_modules()
        if isinstance(layer, Linear) and "lora_" not in name
    )
    for name, weight in model.get_decoder().named_parameters():
        if "experts" in name.split(".") and weight.ndim == 3:
            body += weight.numel() // weight.shape[0] * text.num_experts_per_tok
    adapter = sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
    return WeightCounts(body, adapter, text.vocab_size * text.hidden_size)


def parameters(model: Any) -> int:
    """All weights of a network once, those of NF4 by their layer's shape."""
    layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
    packed = {id(one.weight): one.in_features * one.out_features for one in layers}
    return sum(
        packed.get(id(weight), weight.numel())
        for name, weight in model.named_parameters()
        if ".original_module." not in name  # what a trained copy stands for
    )


def end_of(path: Path, lines: int) -> int:
    """The byte after the first `lines` lines."""
    with path.open("rb") as file:
        return sum(len(file.readline()) for _ in range(lines))
