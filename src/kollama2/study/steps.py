"""Steps: one training of a recipe, from the keys that a study or a recipe file gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import PositiveFloat, TypeAdapter, ValidationError

from kollama2.study.document import Document, near
from kollama2.study.schema import Budget, RateProbe, parse_bytes
from kollama2.train.settings import TrainSettings

OWN_KEYS = ("kind", "data", "template", "loss")
BUDGETS = tuple(Budget.model_fields)

_data = TypeAdapter[dict[str, float]](dict[str, PositiveFloat])


@dataclass(frozen=True)
class Step:
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


def parse_step(
    fields: Mapping[str, Any], budget: Budget, document: Document, path: Sequence[str | int]
) -> Step:
    """Read the keys of one step.

    Args:
        fields: the keys; those that are not a step's own are fields of `TrainSettings`.
        budget: used when the step names none of its own.
        document: the file, for the place in an error.
        path: where the step stands in the file.

    Raises:
        BadUsage: an unknown key, a missing one, or a value that cannot be.
    """
    known = (*OWN_KEYS, *TrainSettings.model_fields)
    for key in fields:
        if key not in known:
            raise document.fault((*path, key), f"unknown key {key!r}; {near(key, known)}")
    if fields.get("kind") not in ("pretrain", "finetune"):
        raise document.fault(
            (*path, "kind"), f"kind is {fields.get('kind')!r}; use pretrain or finetune"
        )
    for key in ("data", "lr"):
        if fields.get(key) is None:
            raise document.fault(path, f"the key {key!r} is missing")
    if fields.get("loss", "all") not in ("assistant", "all"):
        raise document.fault((*path, "loss"), f"loss is {fields['loss']!r}; use assistant or all")
    data = fields["data"]
    rates = None
    given = {k: v for k, v in fields.items() if k not in OWN_KEYS and v is not None}
    if isinstance(given["lr"], dict):
        rates = document.read(RateProbe, given.pop("lr"), (*path, "lr"))
        given["lr"] = min(rates.probe)  # the probe's choice replaces it
    for key in ("bytes", "korean_bytes"):
        if key in given:
            given[key] = _bytes(given[key], document, (*path, key))
    if not any(key in given for key in BUDGETS):
        given |= budget.model_dump(exclude_none=True)
    return Step(
        kind=fields["kind"],
        data=_shares({data: 1.0} if isinstance(data, str) else data, document, (*path, "data")),
        template=fields.get("template"),
        loss=fields.get("loss") or ("assistant" if fields["kind"] == "finetune" else "all"),
        settings=document.read(TrainSettings, given, path),
        rates=rates,
    )


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
