"""A short training at each of a few learning rates, so that methods meet at their own best."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kollama2.engine.commit import write_json
from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.records.read import read
from kollama2.train.batches import BatchPlan, Rows, order
from kollama2.train.forward import held_out_loss
from kollama2.train.loop import Loop, check_fit
from kollama2.train.prepare import prepare
from kollama2.train.record import TrainCurve
from kollama2.train.settings import TrainSettings
from kollama2.train.trainer import Diverged

HELD_OUT, AT_LEAST = 0.05, 16


def probe(
    settings: TrainSettings,
    candidates: Sequence[float],
    *,
    model: Path,
    rows: Path,
    scratch: Path,
    resources: Resources,
    progress: Callable[..., None],
    share: float = 0.1,
) -> dict[str, Any]:
    """Find the best of some learning rates by short trainings, judged on rows held out of them.

    Each candidate trains on a share of the budget with its schedule to the end. The last 5 % of
    the rows in the order of epoch 0 (at least 16) are held out. A tie goes to the smaller rate.
    What is finished is kept in `scratch`, so the same call continues after an interruption.

    Arguments as those of `loop.train`; `lr` of the settings is not looked at, and each candidate
    has `share` of the budget.

    Returns:
        `lr`, and `losses` with the held-out loss of each candidate (key: the rate as text),
        None where the training diverged.

    Raises:
        BadData: under 32 rows.
        Diverged: at every candidate.
    """
    torch.set_num_threads(resources.threads)
    scratch.mkdir(parents=True, exist_ok=True)
    table = Rows(rows, scratch)
    aside = max(AT_LEAST, math.ceil(HELD_OUT * len(table)))
    if len(table) < 2 * aside:
        raise BadData(f"{table.path} has {len(table)} rows; a probe needs at least {2 * aside}")
    shuffled = order(len(table), settings.seed, 0)
    plan = BatchPlan(table, settings, shuffled[:-aside], share)
    kept = scratch / "probe.json"
    losses = read(kept, dict[str, float | None]) if kept.is_file() else {}
    rates = sorted(set(candidates))
    for index, rate in enumerate(rates):
        if str(rate) in losses:
            continue
        network = prepare(model, settings, resources.device)
        check_fit(network, plan)
        loop = Loop(settings.model_copy(update={"lr": rate}), plan, network, resources, scratch)
        before, total = index * plan.steps, len(rates) * plan.steps
        shifted = partial(_shifted, progress, before, total)
        record = TrainCurve(scratch / f"probe-{rate}.jsonl", plan, 0, shifted)
        loop.add_callback(record)
        try:
            loop.run()
            loss = held_out_loss(
                network,
                table,
                shuffled[-aside:],
                max_length=settings.max_length,
                micro_batch_tokens=resources.micro_batch_tokens,
            )
        except Diverged:
            loss = math.inf
        finally:
            record.close()
        losses[str(rate)] = loss if math.isfinite(loss) else None
        write_json(kept, losses)
    scored = {rate: losses[str(rate)] for rate in rates}
    finite = {rate: loss for rate, loss in scored.items() if loss is not None}
    if not finite:
        raise Diverged(f"the training diverges at every rate of {rates}; give smaller ones")
    return {"lr": min(finite, key=lambda r: (finite[r], r)), "losses": losses}


def _shifted(
    progress: Callable[..., None],
    before: int,
    total: int,
    done: int,
    _: int,
    unit: str,
    **more: Any,
) -> None:
    progress(before + done, total, unit, **more)
