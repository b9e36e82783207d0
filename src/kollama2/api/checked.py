"""Checked: arguments from Python are what the function says, as those of the command line are."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import ConfigDict, Field, ValidationError, validate_call

from kollama2.engine.document import shorten
from kollama2.errors import BadUsage

P = ParamSpec("P")
T = TypeVar("T")

AtLeast0 = Annotated[int, Field(ge=0)]
AtLeast1 = Annotated[int, Field(ge=1)]


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, which refuses arguments of other types and out of bounds.

    What it raises is `BadUsage`; an argument that it does not have is a `TypeError`, as always.
    """
    signature = inspect.signature(function)

    @validate_call(config=ConfigDict(strict=True))
    @wraps(function)
    def taken(*args: Any, **named: Any) -> Any:
        return args, named

    @wraps(function)
    def careful(*args: P.args, **named: P.kwargs) -> T:
        signature.bind(*args, **named)
        try:
            args, named = taken(*args, **named)
        except ValidationError as error:
            raise _fault(error, list(signature.parameters)) from error
        return function(*args, **named)

    return careful


def _fault(error: ValidationError, names: list[str]) -> BadUsage:
    first = error.errors(include_url=False)[0]
    place = first["loc"][0]
    name = names[place] if isinstance(place, int) else place
    value = shorten(repr(first["input"]))
    if first["type"] == "sequence_str":
        return BadUsage(f"{name} is the text {value}; give a list, {name}=[{value}]")
    said = first["msg"].removeprefix("Value error, ")
    return BadUsage(f"{name} is {value}: {said[:1].lower()}{said[1:]}")
