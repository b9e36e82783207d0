"""Steps: what a recipe does to its model, one after another, from the keys of a study or recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, TypeAdapter

from kollama2.data.curriculum import Curriculum, OrderName, curriculum
from kollama2.data.difficulty import Measure
from kollama2.engine.closed import no_truth
from kollama2.engine.document import Document, near
from kollama2.errors import BadUsage
from kollama2.model.templates import check_template
from kollama2.study.schema import Budget, Closed, RateProbe, parse_bytes
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import TrainSettings
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings

_MOST = 1000  # copies of a model, blocks
BUDGETS = tuple(Budget.model_fields)

_FINITE = ConfigDict(allow_inf_nan=False)
_data = TypeAdapter[dict[str, float]](dict[str, PositiveFloat], config=_FINITE)
_knots = TypeAdapter[list[dict[str, float]]](list[dict[str, float]], config=_FINITE)


class _PhaseFields(Closed):
    order: OrderName = "forward"
    difficulty: Measure | None = None
    start: float = Field(0.1, gt=0, le=1)
    mix_by: Literal["bytes", "tokens"] = "bytes"


@dataclass(frozen=True)
class TrainStep:
    """One training: what it learns from and how.

    Attributes:
        kind: `pretrain` on text or `finetune` on chats.
        data: names of sources and their shares of the bytes.
        template: how chats are written; None leaves it to the study.
        loss: what is learned.
        settings: everything else that decides the result, for seed 0.
        rates: learning rates to try first, and on which share of the budget.
        phases: how the mixture changes over progress; None: `data` is mixed throughout.
        calibration: name of the source whose columns `settings.shield` freezes.
    """

    kind: Literal["pretrain", "finetune"]
    data: Mapping[str, float]
    template: str | None
    loss: Literal["assistant", "all"]
    settings: TrainSettings
    rates: RateProbe | None
    phases: "PhaseSettings | None" = None
    calibration: str | None = None


@dataclass(frozen=True)
class PhaseSettings:
    """A curriculum over the sources of a training, see `stages.order`."""

    curriculum: Curriculum
    order: OrderName
    difficulty: Measure | None
    start: float
    mix_by: Literal["bytes", "tokens"]


@dataclass(frozen=True)
class MergeStep:
    """A merge with other models.

    Attributes:
        settings: the method and its numbers.
        others: names of sources that are models, or the steps that make one from the base.
        copies: of the model so far, trained with as many seeds, for a soup.
    """

    settings: MergeSettings
    others: "tuple[str | tuple[Step, ...], ...]"
    copies: int


@dataclass(frozen=True)
class PreferStep:
    """Preference tuning.

    Attributes:
        data: name of the source of preferences, or of Korean instructions.
        pairs: name of aligned pairs, to build preferences from instructions.
        template: how chats are written; None leaves it to the recipe.
        settings: everything else that decides the result, for seed 0.
    """

    data: str
    pairs: str | None
    template: str | None
    settings: PreferSettings


@dataclass(frozen=True)
class BlockStep:
    """A deeper model: a new block after every few."""

    every: int


@dataclass(frozen=True)
class VocabStep:
    """A larger vocabulary.

    Attributes:
        corpus: names of the sources that the new pieces are learned from.
        pieces: how many pieces and which.
        rows: how their rows begin.
    """

    corpus: tuple[str, ...]
    pieces: VocabSettings
    rows: InitSettings


@dataclass(frozen=True)
class PruneStep:
    """A smaller vocabulary: which languages stay."""

    settings: PruneSettings


Step = PruneStep | TrainStep | VocabStep | MergeStep | BlockStep | PreferStep

# The keys of each kind of step beside `kind`; `parse_step` and `cells.applied` know the kinds too.
_PHASES = ("phases", "order", "difficulty", "start", "mix_by")
_SETTINGS = tuple(name for name in TrainSettings.model_fields if name != "order")
_TRAINING = ("data", "template", "loss", "calibration", *_PHASES, *_SETTINGS)
KEYS: Mapping[str, tuple[str, ...]] = {
    "pretrain": _TRAINING,
    "finetune": _TRAINING,
    "expand_blocks": ("every",),
    "prefer": ("data", "pairs", "template", *PreferSettings.model_fields),
    "merge": ("with", "copies", *MergeSettings.model_fields),
    "prune_vocab": tuple(PruneSettings.model_fields),
    "expand_vocab": ("corpus", *VocabSettings.model_fields, *InitSettings.model_fields),
}


def parse_step(
    fields: Mapping[str, Any], budget: Budget, document: Document, path: Sequence[str | int]
) -> Step:
    """Read the keys of one step.

    Args:
        fields: the keys; those that are not a step's own are fields of its settings.
        budget: used when a training names none of its own.
        document: the file, for the place in an error.
        path: where the step stands in the file.

    Raises:
        BadUsage: an unknown key, a missing one, or a value that cannot be.
    """
    kind = str(fields.get("kind"))
    if kind not in KEYS:
        *others, last = KEYS
        raise document.fault(
            (*path, "kind"), f"kind is {fields.get('kind')!r}; use {', '.join(others)} or {last}"
        )
    for key in fields:
        if key not in ("kind", *KEYS[kind]):
            raise document.fault((*path, key), f"unknown key {key!r}; {near(key, KEYS[kind])}")
    given = {key: value for key, value in fields.items() if value is not None}
    match kind:
        case "expand_vocab":
            return _vocab(given, document, path)
        case "prune_vocab":
            _need(("keep",), given, document, path)
            return PruneStep(document.read(PruneSettings, _only(PruneSettings, given), path))
        case "expand_blocks":
            return BlockStep(_count("every", given, 4, 1, document, path))
        case "prefer":
            return _prefer(given, document, path)
        case "merge":
            return _merge(given, budget, document, path)
        case _:
            return _training(given, budget, document, path)


def _training(
    fields: dict[str, Any], budget: Budget, document: Document, path: Sequence[str | int]
) -> TrainStep:
    _need(("lr",) if "phases" in fields else ("data", "lr"), fields, document, path)
    if fields.get("loss", "all") not in ("assistant", "all"):
        raise document.fault((*path, "loss"), f"loss is {fields['loss']!r}; use assistant or all")
    phases = _phases(fields, document, path)
    data = dict.fromkeys(phases.curriculum.names, 1.0) if phases else fields["data"]
    rates = None
    given = {k: v for k, v in _only(TrainSettings, fields).items() if k in _SETTINGS}
    if isinstance(given["lr"], dict):
        rates = document.read(RateProbe, given.pop("lr"), (*path, "lr"))
        given["lr"] = min(rates.probe)  # the probe's choice replaces it
    for key in ("bytes", "korean_bytes"):
        if key in given:
            given[key] = _bytes(given[key], document, (*path, key))
    if not any(key in given for key in BUDGETS):
        given |= budget.model_dump(exclude_none=True)
    if phases and not (given.keys() & {"bytes", "korean_bytes"}):
        raise document.fault(path, "phases need a budget in bytes or korean_bytes")
    return TrainStep(
        kind=fields["kind"],
        data=_shares({data: 1.0} if isinstance(data, str) else data, document, (*path, "data")),
        template=_template(fields, document, path),
        loss=fields.get("loss") or ("assistant" if fields["kind"] == "finetune" else "all"),
        settings=document.read(TrainSettings, given, path),
        rates=rates,
        phases=phases,
        calibration=fields.get("calibration"),
    )


def _phases(
    fields: Mapping[str, Any], document: Document, path: Sequence[str | int]
) -> PhaseSettings | None:
    if "phases" not in fields:
        if lost := [key for key in _PHASES if key in fields]:
            raise document.fault((*path, lost[0]), f"{lost[0]} has no effect without phases")
        return None
    if "data" in fields:
        raise document.fault((*path, "data"), "phases say which data are learned; remove data")
    place = (*path, "phases")
    knots = fields["phases"]
    knots = [knots] if isinstance(knots, dict) else knots
    try:
        checked = _knots.validate_python(no_truth(knots, float))
    except ValueError as error:
        raise document.fault(
            place, f"phases is {knots!r}; give shares of sources, or a list with `at` from 0 to 1"
        ) from error
    try:
        made = curriculum(checked)
    except BadUsage as error:
        raise document.fault(place, str(error)) from error
    settings = document.read(_PhaseFields, {k: fields[k] for k in _PHASES[1:] if k in fields}, path)
    return PhaseSettings(made, **dict(settings))


def _merge(
    fields: dict[str, Any], budget: Budget, document: Document, path: Sequence[str | int]
) -> MergeStep:
    copies = _count("copies", fields, 1, 1, document, path)
    given = fields.get("with", [])
    listed = [given] if isinstance(given, str) or _is_steps(given) else given
    if not isinstance(listed, list) or not (listed or copies > 1):
        raise document.fault(
            (*path, "with"), "a merge needs with: the name of a model, a list of them, or steps"
        )
    others: list[str | tuple[Step, ...]] = []
    for one in listed:
        if isinstance(one, str):
            others.append(one)
        elif _is_steps(one):
            steps = [parse_step(fields, budget, document, (*path, "with")) for fields in one]
            others.append(tuple(steps))
        else:
            raise document.fault(
                (*path, "with"), f"with holds {one!r}; give a source's name or a list of steps"
            )
    settings = document.read(MergeSettings, _only(MergeSettings, fields), path)
    return MergeStep(settings, tuple(others), copies)


def _template(fields: dict[str, Any], document: Document, path: Sequence[str | int]) -> str | None:
    name = fields.get("template")
    try:
        return None if name is None else check_template(name)
    except BadUsage as error:
        raise document.fault((*path, "template"), str(error)) from error


def _prefer(fields: dict[str, Any], document: Document, path: Sequence[str | int]) -> PreferStep:
    _need(("data", "lr"), fields, document, path)
    for key in ("data", "pairs", "template"):
        if not isinstance(fields.get(key, ""), str):
            raise document.fault((*path, key), f"{key} is {fields[key]!r}; give one name")
    return PreferStep(
        data=fields["data"],
        pairs=fields.get("pairs"),
        template=_template(fields, document, path),
        settings=document.read(PreferSettings, _only(PreferSettings, fields), path),
    )


def _is_steps(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _count(
    key: str,
    fields: Mapping[str, Any],
    default: int,
    least: int,
    document: Document,
    path: Sequence[str | int],
) -> int:
    value = fields.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
        wanted = f"give a whole number from {least} to {_MOST}"
        raise document.fault((*path, key), f"{key} is {value!r}; {wanted}")
    return value


def _vocab(fields: dict[str, Any], document: Document, path: Sequence[str | int]) -> VocabStep:
    _need(("corpus",), fields, document, path)
    corpus = fields["corpus"]
    names = [corpus] if isinstance(corpus, str) else corpus
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise document.fault(
            (*path, "corpus"), f"corpus is {corpus!r}; give a source's name, or a list of names"
        )
    return VocabStep(
        corpus=tuple(names),
        pieces=document.read(VocabSettings, _only(VocabSettings, fields), path),
        rows=document.read(InitSettings, _only(InitSettings, fields), path),
    )


def _need(
    keys: Sequence[str], fields: Mapping[str, Any], document: Document, path: Sequence[str | int]
) -> None:
    for key in keys:
        if key not in fields:
            raise document.fault(path, f"the key {key!r} is missing")


def _only(settings: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key in settings.model_fields}


def _bytes(value: Any, document: Document, path: Sequence[str | int]) -> Any:
    try:
        return parse_bytes(value)
    except ValueError as error:
        raise document.fault(path, str(error)) from error


def _shares(data: Any, document: Document, path: Sequence[str | int]) -> dict[str, float]:
    try:
        return _data.validate_python(no_truth(data, float))
    except ValueError as error:
        raise document.fault(
            path, f"data is {data!r}; give a source's name, or names and shares above 0"
        ) from error
