"""Estimate: what the stages of a plan will cost, before any of them begins."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kollama2.engine.graph import Plan
from kollama2.engine.profile import Profile
from kollama2.engine.store import Store
from kollama2.stages import Encode, ModelStage, Order
from kollama2.stages.costly import Costly
from kollama2.study.sample import sampled
from kollama2.study.shape import Shape, shape_of
from kollama2.train.settings import TrainSettings

Speed = Callable[[], float | None]

ADAM_BYTES = {"full": 16.0, "lora": 4.0, "qlora": 0.6}
"""Memory of one weight: float32 value, gradient and two moments; a frozen value; an NF4 value."""


@dataclass(frozen=True)
class CostEstimate:
    """The cost of what is still to compute; None where something is unknown.

    Attributes:
        trainings: how many; tries of learning-rate probes, distillations of new rows and
            preference tunings among them.
        tokens: that they read.
        flops: of the matrices, counted as the records of a finished training count them.
        memory_bytes: of the largest training; activations are a rough bound.
        disk_bytes: of the models that they and changed vocabularies leave behind.
        seconds: of all stages at the speed of those of their kind in the store, as many at a time
            as the profile says; None until the store has seen one of each kind. With the speed of
            a machine: of the trainings alone.
        unknown: names of the inputs whose size is not known yet.
    """

    trainings: int
    tokens: int | None
    flops: int | None
    memory_bytes: int | None
    disk_bytes: int | None
    seconds: float | None
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Cost:
    """One training."""

    tokens: int
    flops: int
    memory: int
    disk: int


def estimate(
    todo: Plan, store: Store, profile: Profile, speed: Speed | None = None
) -> CostEstimate:
    """Estimate what is to be computed.

    Args:
        todo: the plan.
        store: where encoded sources tell their size and finished stages their speed.
        profile: how many stages run at a time, and how many tokens at once.
        speed: measures the FLOPs a second at which this machine trains; asked where the store has
            trained no model of such a size.
    """

    def count(rows: Encode | Order) -> Mapping[str, float] | None:
        record = store.record(rows)
        return record.metrics if record is not None else sampled(rows, store)

    costs: list[_Cost] = []
    unknown: dict[str, None] = {}
    trainings = size = 0
    for stage in todo.todo:
        if not isinstance(stage, Costly):
            continue
        trainings += stage.tries if stage.learns else 0
        shape, tokens = shape_of(stage.model.config(store, hub=True)), stage.tokens(count)
        if shape is None:
            unknown[stage.model.origin] = None
        if tokens is None:
            unknown |= dict.fromkeys(source.uri for source in stage.reads)
        if shape is not None and tokens is not None:
            size = max(size, shape.parameters)
            micro = profile.resources(stage.kind).micro_batch_tokens
            cost = (
                _growth(stage, shape, tokens, store)
                if stage.training is None
                else _training(stage, stage.training, shape, tokens, micro)
            )
            costs += [cost] * stage.tries
    if unknown:
        return CostEstimate(trainings, None, None, None, None, None, tuple(unknown))
    flops = sum(cost.flops for cost in costs)
    rate = (_trains(store, size) or speed()) if speed is not None and flops else None
    return CostEstimate(
        trainings=trainings,
        tokens=sum(cost.tokens for cost in costs),
        flops=flops,
        memory_bytes=max((cost.memory for cost in costs), default=0),
        disk_bytes=sum(cost.disk for cost in costs),
        seconds=_seconds(todo, flops, store, profile.jobs)
        if rate is None
        else flops / rate / max(1, min(profile.jobs, trainings)),
        unknown=(),
    )


def _training(
    stage: Costly, settings: TrainSettings, shape: Shape, tokens: int, micro: int
) -> _Cost:
    """The cost of a training.

    FLOPs as in `kollama2.train.record.figures`, the head counted for every token. Activations: 34
    bytes a token, layer and hidden unit in bfloat16, twice that in float32 (Korthikanti et al.
    2022, arXiv 2205.05198, section 4.1), and the logits with their gradient in float32. Preference
    tuning runs its reference forward too.
    """
    full, tables = settings.method == "full", shape.parameters - shape.body
    adapter = 0 if full else settings.rank * shape.sides
    whole = 0 if full or not stage.trains_tables else tables
    weights = ADAM_BYTES[settings.method] * (shape.parameters - whole)
    learned = shape.parameters if full else adapter + whole
    body, head = 6 if full else 4, 6 if full or whole else 4
    reference = 2 * (shape.body + shape.table) if stage.reference else 0
    return _Cost(
        tokens=tokens,
        flops=(body * shape.body + head * shape.table + 6 * adapter + reference) * tokens,
        memory=round(weights + ADAM_BYTES["full"] * (adapter + whole))
        + _activations(shape, min(micro, stage.width), settings.dtype),
        disk=4 * learned if isinstance(stage, ModelStage) else 0,
    )


def _growth(stage: Costly, shape: Shape, tokens: int, store: Store) -> _Cost:
    """The cost of other rows; a distillation computes the old model twice and backward once."""
    assert isinstance(stage, ModelStage), "it gives the model with these rows"
    after = shape_of(stage.config(store, hub=True))
    assert after is not None, "the model before has a shape"
    memory = 4 * max(shape.parameters, after.parameters)
    memory += _activations(shape, stage.width, "float32")
    return _Cost(tokens, 6 * shape.parameters * tokens, memory, 4 * after.parameters)


def _activations(shape: Shape, width: int, dtype: str) -> int:
    unit = 34 if dtype == "bfloat16" else 68
    return width * (unit * shape.hidden * shape.layers + 8 * shape.rows)


def _trains(store: Store, parameters: int) -> float | None:
    """FLOPs a second of the trainings in the store of models of about this size; None: of none."""
    done = trained = 0.0
    for record in store.records():
        if record.metrics.get("flops") and (
            parameters / 4 < record.metrics.get("total_parameters", 0) < parameters * 4
        ):
            done += record.metrics["flops"]
            trained += record.seconds
    return done / trained if trained else None


def _seconds(todo: Plan, flops: int, store: Store, jobs: int) -> float | None:
    """Wall time of the plan, or None where the store has not seen a stage of each kind."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    done = trained = 0.0
    for record in store.records():
        spent[record.kind].append(record.seconds)
        if record.metrics.get("flops"):
            done += record.metrics["flops"]
            trained += record.seconds
    seconds = 0.0
    if flops:
        if not done:
            return None
        seconds = flops * trained / done
    for stage in todo.todo:
        if stage.inline or (isinstance(stage, Costly) and stage.learns):
            continue
        if not spent[stage.kind]:
            return None
        seconds += sum(spent[stage.kind]) / len(spent[stage.kind])
    return seconds / jobs
