"""Closed: the base of whatever a document may say, with every key declared and every number one."""

from typing import Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from kollama2.engine.document import shorten


class Closed(BaseModel):
    """A part of a document: immutable, its numbers finite, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None, "it validates fields"
        return no_truth(value, cls.model_fields[info.field_name].annotation)


def or_say(sentence: str) -> WrapValidator:
    """Where a value does not fit, say what does instead of what pydantic would."""

    def check(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return read(value)
        except ValidationError as error:
            shown, name = shorten(repr(value)), info.field_name
            raise ValueError(f"{f'{name} is ' if name else ''}{shown}; {sentence}") from error

    return WrapValidator(check)


def no_truth(value: Any, kind: Any) -> Any:
    """Refuse true and false where numbers are wanted; pydantic reads them as 1 and 0.

    Args:
        value: as a document holds it, lists and mappings too.
        kind: the type that it should be.

    Raises:
        ValueError: the type has numbers and no truth values, and the value holds one.
    """
    kinds = _kinds(kind)
    if (int in kinds or float in kinds) and bool not in kinds and _has_truth(value):
        raise ValueError("true and false are no numbers")
    return value


def _kinds(kind: Any) -> list[Any]:
    return [kind, *(inner for one in get_args(kind) for inner in _kinds(one))]


def _has_truth(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(_has_truth, value)) if isinstance(value, list) else isinstance(value, bool)
