"""Estimate: what the stages of a plan will cost, before any of them begins."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kollama2.engine.graph import Plan
from kollama2.engine.profile import Profile
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.miniature import base as miniature
from kollama2.stages import Derive, Encode, Order, Probe, Source, Train

BYTES_PER_TOKEN = 1.6
"""Of Korean in Llama 2's vocabulary, until a source is encoded and tells its own."""
ADAM_BYTES = {"full": 16.0, "lora": 4.0, "qlora": 0.6}
"""Memory of one weight: float32 value, gradient and two moments; a frozen value; an NF4 value."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder that decide its cost."""

    body: int
    """Weights of the linear layers of all blocks."""
    table: int
    """Weights of the embeddings, and of the head."""
    tied: bool
    hidden: int
    layers: int
    sides: int
    """Sum of the inputs and outputs of the linear layers, which rank multiplies in an adapter."""

    @property
    def parameters(self) -> int:
        """Weights in all, without norms."""
        return self.body + self.table * (1 if self.tied else 2)


@dataclass(frozen=True)
class Estimate:
    """The cost of what is still to compute; None where something is unknown.

    Attributes:
        trainings: how many, the short ones of learning-rate probes among them.
        tokens: that they read.
        flops: of the matrices, counted as the records of a finished training count them.
        memory_bytes: of the largest training; activations are a rough bound.
        disk_bytes: of the models they leave behind.
        seconds: of all stages at the speed of those of their kind in the store, as many at a time
            as the profile says; None until the store has seen one of each kind.
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


def estimate(todo: Plan, store: Store, profile: Profile) -> Estimate:
    """Estimate what is to be computed.

    Args:
        todo: the plan.
        store: where encoded sources tell their size and finished stages their speed.
        profile: how many stages run at a time, and how many tokens at once.
    """
    costs: list[_Cost] = []
    unknown: dict[str, None] = {}
    for stage, share in _trainings(todo):
        shape, tokens = _shape(_start(stage)), _tokens(stage, store)
        if shape is None:
            unknown[_start(stage).uri] = None
        if tokens is None:
            unknown |= dict.fromkeys(source.uri for source in _sources(stage.rows))
        if shape is not None and tokens is not None:
            micro = profile.resources(stage.kind).micro_batch_tokens
            costs.append(_cost(stage, shape, round(share * tokens), micro))
    trainings = sum(1 for _ in _trainings(todo))
    if unknown:
        return Estimate(trainings, None, None, None, None, None, tuple(unknown))
    flops = sum(cost.flops for cost in costs)
    return Estimate(
        trainings=trainings,
        tokens=sum(cost.tokens for cost in costs),
        flops=flops,
        memory_bytes=max((cost.memory for cost in costs), default=0),
        disk_bytes=sum(cost.disk for cost in costs),
        seconds=_seconds(todo, flops, store, profile.jobs),
        unknown=(),
    )


def _trainings(todo: Plan) -> Iterator[tuple[Train | Probe, float]]:
    """Each training, and on which share of its budget; a probe is one for each candidate."""
    for stage in todo.todo:
        if isinstance(stage, Train):
            yield stage, 1.0
        elif isinstance(stage, Probe):
            for _ in stage.candidates:
                yield stage, stage.share


def _start(stage: Stage) -> Source:
    """The model that a chain of stages begins with."""
    while not isinstance(stage, Source):
        stage = stage.model  # type: ignore[attr-defined]
    return stage


def _cost(stage: Train | Probe, shape: Shape, tokens: int, micro: int) -> _Cost:
    """The cost of a training over so many tokens.

    FLOPs as in `kollama2.train.record.figures`, the head counted for every token. Activations: 34
    bytes a token, layer and hidden unit in bfloat16, twice that in float32 (Korthikanti et al.
    2022, arXiv 2205.05198, section 4.1), and the logits with their gradient in float32.
    """
    settings = stage.settings
    full = settings.method == "full"
    adapter = 0 if full else settings.rank * shape.sides
    width = min(micro, settings.max_length * settings.batch)
    unit = 34 if settings.dtype == "bfloat16" else 68
    vocabulary = shape.table // shape.hidden
    activations = width * (unit * shape.hidden * shape.layers + 8 * vocabulary)
    weights = ADAM_BYTES[settings.method] * shape.parameters + ADAM_BYTES["full"] * adapter
    trained = shape.parameters if full else adapter
    return _Cost(
        tokens=tokens,
        flops=((6 if full else 4) * (shape.body + shape.table) + 6 * adapter) * tokens,
        memory=round(weights) + activations,
        disk=0 if isinstance(stage, Probe) else 4 * trained,
    )


def _shape(source: Source) -> Shape | None:
    if source.uri == "builtin:miniature":
        return read_shape(miniature.FOLDER / "config.json")
    if source.place is not None:
        return read_shape(source.place / "config.json")
    return read_shape(_from_hub(source))


def _from_hub(source: Source) -> Path | None:
    """The `config.json` of a hub model, a small file; None where the hub does not give it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        place = hf_hub_download(
            source.uri.removeprefix("hf:"), "config.json", revision=source.revision
        )
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # The plan then says whose size it does not know.
    return Path(place)


def read_shape(config: Path | None) -> Shape | None:
    """The shape that a `config.json` of Llama's family tells; None for any other."""
    if config is None or not config.is_file():
        return None
    try:
        return _shape_of(json.loads(config.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError):
        return None


def _shape_of(config: Mapping[str, Any]) -> Shape:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    sizes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    sizes += [(hidden, inner), (hidden, inner), (inner, hidden)]
    return Shape(
        body=layers * sum(a * b for a, b in sizes),
        table=config["vocab_size"] * hidden,
        tied=bool(config.get("tie_word_embeddings", False)),
        hidden=hidden,
        layers=layers,
        sides=layers * sum(a + b for a, b in sizes),
    )


def _tokens(stage: Train | Probe, store: Store) -> int | None:
    """Tokens that a training on its whole budget reads."""
    settings = stage.settings
    record = store.record(stage.rows)
    seen: dict[str, float] | None = None if record is None else record["metrics"]
    if settings.steps is not None:
        row = seen["tokens"] / seen["rows"] if seen and not settings.packing else None
        return round(settings.steps * settings.batch * (row or settings.max_length))
    if settings.epochs is not None:
        if seen:
            return round(settings.epochs * seen["tokens"])
        if isinstance(stage.rows, Order):
            return round((stage.rows.bytes or stage.rows.korean_bytes or 0) / BYTES_PER_TOKEN)
        sizes = [_size(source) for source in _sources(stage.rows)]
        if None in sizes:
            return None
        return round(settings.epochs * sum(size or 0 for size in sizes) / BYTES_PER_TOKEN)
    counted = "ko_bytes" if settings.korean_bytes else "bytes"
    wanted = settings.korean_bytes or settings.bytes or 0
    ratio = seen["tokens"] / seen[counted] if seen and seen[counted] else 1 / BYTES_PER_TOKEN
    return round(wanted * ratio)


def _sources(rows: Encode | Order) -> list[Source | Derive]:
    encoded = rows.rows if isinstance(rows, Order) else (rows,)
    return [part.source for one in encoded for part in one.data]


def _size(source: Source | Derive) -> int | None:
    place = source.pairs.place if isinstance(source, Derive) else source.place
    if place is None:
        return None
    files = [place] if place.is_file() else [f for f in place.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files)


def _seconds(todo: Plan, flops: int, store: Store, jobs: int) -> float | None:
    """Wall time of the plan, or None where the store has not seen a stage of each kind."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    done = trained = 0.0
    for record in store.records():
        spent[record["kind"]].append(record["seconds"])
        if record["metrics"].get("flops"):
            done += record["metrics"]["flops"]
            trained += record["seconds"]
    seconds = 0.0
    if flops:
        if not done:
            return None
        seconds = flops * trained / done
    for stage in todo.todo:
        if isinstance(stage, Train | Probe) or stage.inline:
            continue
        if not spent[stage.kind]:
            return None
        seconds += sum(spent[stage.kind]) / len(spent[stage.kind])
    return seconds / jobs
