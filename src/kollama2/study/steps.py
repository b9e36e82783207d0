"""Steps: what a recipe does to its model, one after another, from the keys of a study or recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, PositiveFloat, TypeAdapter, ValidationError

from kollama2.study.document import Document, near
from kollama2.study.schema import Budget, RateProbe, parse_bytes
from kollama2.train.settings import TrainSettings
from kollama2.vocab.settings import InitSettings, VocabSettings

BUDGETS = tuple(Budget.model_fields)

_data = TypeAdapter[dict[str, float]](dict[str, PositiveFloat])


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
    """

    kind: Literal["pretrain", "finetune"]
    data: Mapping[str, float]
    template: str | None
    loss: Literal["assistant", "all"]
    settings: TrainSettings
    rates: RateProbe | None


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


Step = TrainStep | VocabStep

# The keys of each kind of step beside `kind`; `parse_step` and `cells.applied` know the kinds too.
_TRAINING = ("data", "template", "loss", *TrainSettings.model_fields)
KEYS: Mapping[str, tuple[str, ...]] = {
    "pretrain": _TRAINING,
    "finetune": _TRAINING,
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
        case _:
            return _training(given, budget, document, path)


def _training(
    fields: dict[str, Any], budget: Budget, document: Document, path: Sequence[str | int]
) -> TrainStep:
    _need(("data", "lr"), fields, document, path)
    if fields.get("loss", "all") not in ("assistant", "all"):
        raise document.fault((*path, "loss"), f"loss is {fields['loss']!r}; use assistant or all")
    data = fields["data"]
    rates = None
    given = _only(TrainSettings, fields)
    if isinstance(given["lr"], dict):
        rates = document.read(RateProbe, given.pop("lr"), (*path, "lr"))
        given["lr"] = min(rates.probe)  # the probe's choice replaces it
    for key in ("bytes", "korean_bytes"):
        if key in given:
            given[key] = _bytes(given[key], document, (*path, key))
    if not any(key in given for key in BUDGETS):
        given |= budget.model_dump(exclude_none=True)
    return TrainStep(
        kind=fields["kind"],
        data=_shares({data: 1.0} if isinstance(data, str) else data, document, (*path, "data")),
        template=fields.get("template"),
        loss=fields.get("loss") or ("assistant" if fields["kind"] == "finetune" else "all"),
        settings=document.read(TrainSettings, given, path),
        rates=rates,
    )


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
        raise document.fault(path, f"{value!r} is no amount of bytes; write 50MB") from error


def _shares(data: Any, document: Document, path: Sequence[str | int]) -> dict[str, float]:
    try:
        return _data.validate_python(data)
    except ValidationError as error:
        raise document.fault(
            path, f"data is {data!r}; give a source's name, or names and shares above 0"
        ) from error
