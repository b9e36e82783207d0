"""Estimate: what the stages of a plan will cost, before any of them begins."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kollama2.engine.graph import Plan
from kollama2.engine.profile import Profile
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.stages import (
    Derive,
    Encode,
    ExpandTokenizer,
    ExpandVocab,
    Order,
    Prefer,
    Probe,
    PruneTokenizer,
    PruneVocab,
    Source,
    Train,
)
from kollama2.study.repeats import bytes_at_hand
from kollama2.study.sample import sampled
from kollama2.study.shape import Shape, shape_of, start_of, tokens_left

_Tuning = Train | Probe | Prefer
_Costly = Train | Probe | Prefer | ExpandVocab | PruneVocab

BYTES_PER_TOKEN = 1.6
"""Of Korean in Llama 2's vocabulary, until a source is encoded and tells its own."""
ADAM_BYTES = {"full": 16.0, "lora": 4.0, "qlora": 0.6}
"""Memory of one weight: float32 value, gradient and two moments; a frozen value; an NF4 value."""


@dataclass(frozen=True)
class Estimate:
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

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Cost:
    """One training."""

    tokens: int
    flops: int
    memory: int
    disk: int


def estimate(todo: Plan, store: Store, profile: Profile, speed: float | None = None) -> Estimate:
    """Estimate what is to be computed.

    Args:
        todo: the plan.
        store: where encoded sources tell their size and finished stages their speed.
        profile: how many stages run at a time, and how many tokens at once.
        speed: FLOPs a second at which this machine trains, for a store that has not trained any
            model of such a size.
    """
    costs: list[_Cost] = []
    unknown: dict[str, None] = {}
    trainings = size = 0
    for stage in todo.todo:
        if not isinstance(stage, _Costly):
            continue
        times = len(stage.candidates) if isinstance(stage, Probe) else 1
        trainings += times if _learns(stage) else 0
        shape, tokens = shape_of(stage.model, store), _tokens(stage, store)
        if shape is None:
            unknown[start_of(stage).uri] = None
        if tokens is None:
            unknown |= dict.fromkeys(source.uri for source in _sources(stage))
        if shape is not None and tokens is not None:
            size = max(size, shape.parameters)
            micro = profile.resources(stage.kind).micro_batch_tokens
            if isinstance(stage, ExpandVocab | PruneVocab):
                costs.append(_growth(stage, shape, tokens, store))
            else:
                costs += [_cost(stage, shape, tokens, micro)] * times
    if unknown:
        return Estimate(trainings, None, None, None, None, None, tuple(unknown))
    flops = sum(cost.flops for cost in costs)
    return Estimate(
        trainings=trainings,
        tokens=sum(cost.tokens for cost in costs),
        flops=flops,
        memory_bytes=max((cost.memory for cost in costs), default=0),
        disk_bytes=sum(cost.disk for cost in costs),
        seconds=_seconds(todo, flops, store, profile.jobs)
        if speed is None
        else flops / _trains(store, size, speed) / max(1, min(profile.jobs, trainings)),
        unknown=(),
    )


def _learns(stage: Stage) -> bool:
    """Whether anything is learned by it; most ways to begin new rows only look at old ones."""
    if isinstance(stage, ExpandVocab):
        return stage.settings.init == "distill"
    return not isinstance(stage, PruneVocab)


def _cost(stage: _Tuning, shape: Shape, tokens: int, micro: int) -> _Cost:
    """The cost of a training over so many tokens.

    FLOPs as in `kollama2.train.record.figures`, the head counted for every token. Activations: 34
    bytes a token, layer and hidden unit in bfloat16, twice that in float32 (Korthikanti et al.
    2022, arXiv 2205.05198, section 4.1), and the logits with their gradient in float32. Preference
    tuning runs its reference forward too.
    """
    settings = stage.settings.training() if isinstance(stage, Prefer) else stage.settings
    full, tables = settings.method == "full", shape.parameters - shape.body
    adapter = 0 if full else settings.rank * shape.sides
    whole = 0 if full or not _tables_learn(stage) else tables
    width = min(micro, stage.settings.max_length * stage.settings.batch)
    weights = ADAM_BYTES[settings.method] * (shape.parameters - whole)
    learned = shape.parameters if full else adapter + whole
    body, head = 6 if full else 4, 6 if full or whole else 4
    reference = 2 * (shape.body + shape.table) if isinstance(stage, Prefer) else 0
    return _Cost(
        tokens=tokens,
        flops=(body * shape.body + head * shape.table + 6 * adapter + reference) * tokens,
        memory=round(weights + ADAM_BYTES["full"] * (adapter + whole))
        + _activations(shape, width, settings.dtype),
        disk=0 if isinstance(stage, Probe) else 4 * learned,
    )


def _growth(stage: ExpandVocab | PruneVocab, shape: Shape, tokens: int, store: Store) -> _Cost:
    """The cost of other rows; a distillation computes the old model twice and backward once."""
    after = shape_of(stage, store)
    assert after is not None, "the model before has a shape"
    memory = 4 * max(shape.parameters, after.parameters)
    if isinstance(stage, ExpandVocab) and _learns(stage):
        memory += _activations(shape, stage.settings.batch * stage.settings.max_length, "float32")
    return _Cost(tokens, 6 * shape.parameters * tokens, memory, 4 * after.parameters)


def _activations(shape: Shape, width: int, dtype: str) -> int:
    unit = 34 if dtype == "bfloat16" else 68
    return width * (unit * shape.hidden * shape.layers + 8 * shape.rows)


def _tables_learn(stage: _Tuning) -> bool:
    """Whether an adapter comes with whole tables: where asked for, or where new rows need it."""
    if isinstance(stage, Prefer):
        return False
    if stage.settings.train_embeddings is not None:
        return stage.settings.train_embeddings
    model: Stage = stage.model
    while not isinstance(model, Source | Train):
        if isinstance(model, ExpandVocab):
            return True
        model = model.model  # type: ignore[attr-defined]
    return False


def _tokens(stage: _Costly, store: Store) -> int | None:
    """Tokens that a stage reads; in a probe, those of one try."""
    match stage:
        case PruneVocab():
            return 0
        case ExpandVocab():
            return _distilled(stage)
        case Prefer():
            return _preferred(stage)
        case Probe():
            whole = _trained(stage, store)
            return None if whole is None else round(stage.share * whole)
        case Train():
            return _trained(stage, store)


def _trained(stage: Train | Probe, store: Store) -> int | None:
    """Tokens that a training on its whole budget reads."""
    settings = stage.settings
    record = store.record(stage.rows)
    seen = record.metrics if record is not None else sampled(stage.rows, store)
    width = _bytes_a_token(stage.rows)
    if settings.steps is not None:
        row = seen["tokens"] / seen["rows"] if seen and not settings.packing else None
        return round(settings.steps * settings.batch * (row or settings.max_length))
    if settings.epochs is not None:
        if seen:
            return round(settings.epochs * seen["tokens"])
        if isinstance(stage.rows, Order):
            return round((stage.rows.bytes or stage.rows.korean_bytes or 0) / width)
        size = bytes_at_hand(_sources(stage))
        return None if size is None else round(settings.epochs * size / width)
    counted = "ko_bytes" if settings.korean_bytes else "bytes"
    wanted = settings.korean_bytes or settings.bytes or 0
    ratio = seen["tokens"] / seen[counted] if seen and seen[counted] else 1 / width
    return round(wanted * ratio)


def _distilled(stage: ExpandVocab) -> int:
    """Old and new tokens of the text that a distillation reads."""
    if not _learns(stage):
        return 0
    text = min(stage.settings.text, bytes_at_hand(stage.corpus) or stage.settings.text)
    return round(text / BYTES_PER_TOKEN * (1 + tokens_left(stage.tokenizer.settings)))


def _preferred(stage: Prefer) -> int | None:
    """Tokens of both answers, each with its prompt, at their longest where steps are counted."""
    settings = stage.settings
    if settings.steps is not None:
        return 2 * settings.steps * settings.batch * settings.max_length
    size = bytes_at_hand([stage.data])
    return None if size is None else round((settings.epochs or 1) * 2 * size / BYTES_PER_TOKEN)


def _bytes_a_token(rows: Encode | Order) -> float:
    """Of Korean by the tokenizer of these rows, as far as one knows before they are encoded."""
    tokenizer = (rows.rows[0] if isinstance(rows, Order) else rows).tokenizer
    left = 1.0
    while isinstance(tokenizer, ExpandTokenizer | PruneTokenizer):
        if isinstance(tokenizer, ExpandTokenizer):
            left *= tokens_left(tokenizer.settings)
        tokenizer = tokenizer.tokenizer
    return BYTES_PER_TOKEN / left


def _sources(stage: _Costly) -> Sequence[Source | Derive]:
    match stage:
        case PruneVocab():
            return []
        case ExpandVocab():
            return stage.corpus
        case Prefer():
            return [stage.data]
        case _:
            rows = stage.rows
            encoded = rows.rows if isinstance(rows, Order) else (rows,)
            return [part.source for one in encoded for part in one.data]


def _trains(store: Store, parameters: int, speed: float) -> float:
    """FLOPs a second of the trainings in the store of models of about this size; else `speed`."""
    done = trained = 0.0
    for record in store.records():
        if record.metrics.get("flops") and (
            parameters / 4 < record.metrics.get("total_parameters", 0) < parameters * 4
        ):
            done += record.metrics["flops"]
            trained += record.seconds
    return done / trained if trained else speed


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
        if stage.inline or (isinstance(stage, _Costly) and _learns(stage)):
            continue
        if not spent[stage.kind]:
            return None
        seconds += sum(spent[stage.kind]) / len(spent[stage.kind])
    return seconds / jobs
