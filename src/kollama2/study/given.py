"""Given: what a person sets in the place of a recipe's numbers, for one model."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from kollama2.engine.arithmetic import Dtype
from kollama2.engine.closed import no_truth
from kollama2.engine.document import near, shorten, value_of
from kollama2.errors import BadUsage
from kollama2.study.steps import STEPS
from kollama2.train.settings import BUDGETS

AUTO = "auto"
_FINITE = ConfigDict(allow_inf_nan=False)


def pair(text: str) -> tuple[str, str]:
    """The name and the value of a `NAME=VALUE` text.

    Raises:
        BadUsage: it has no value.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise BadUsage(f"--set {shorten(repr(text))} has no value; write NAME=VALUE, e.g. lr=1e-4")
    return name.strip(), value


def settings(given: Sequence[str], kinds: Sequence[str], fast: Dtype) -> list[dict[str, Any]]:
    """What `--set` changes in each step of a recipe.

    Args:
        given: `NAME=VALUE` for all steps that have such a setting, `2.NAME=VALUE` for the second
            step alone; values as in YAML.
        kinds: of the steps.
        fast: what `dtype=auto` means on this machine.

    Returns:
        Keys and values for each step; a budget takes the place of the step's other one.

    Raises:
        BadUsage: no step has this setting, or the value is not allowed.
    """
    changes: list[dict[str, Any]] = [{} for _ in kinds]
    for text in given:
        name, value = pair(text)
        where, key = _steps(name, kinds)
        for step in where:
            field = _fields(kinds[step])[key]
            if key in BUDGETS:
                changes[step] |= {one: None for one in BUDGETS if one in _fields(kinds[step])}
            auto = key == "dtype" and value == AUTO
            changes[step][key] = fast if auto else _value(text, value, field)
    return changes


def _steps(name: str, kinds: Sequence[str]) -> tuple[list[int], str]:
    number, _, key = name.rpartition(".")
    if number and number not in map(str, range(1, len(kinds) + 1)):
        raise BadUsage(
            f"the setting {shorten(name)}: this recipe has steps 1 to {len(kinds)}; "
            f"{shorten(number)} is none"
        )
    steps = [int(number) - 1] if number else list(range(len(kinds)))
    found = [step for step in steps if key in _fields(kinds[step])]
    if not found:
        known = sorted({one for step in steps for one in _fields(kinds[step])})
        raise BadUsage(
            f"{shorten(name)}: no setting is called {shorten(repr(key))}; {near(key, known)}"
        )
    return found, key


def _fields(kind: str) -> dict[str, FieldInfo]:
    """The settings of a step, without what it works on and without the seed, which is an option."""
    step = STEPS[kind]
    inherited = {name for base in step.__bases__ for name in getattr(base, "model_fields", ())}
    settings = (inherited | {"lr"}) - {"seed"}
    return {name: field for name, field in step.model_fields.items() if name in settings}


def _value(text: str, value: str, field: FieldInfo) -> Any:
    try:
        typed: Any = Annotated[field.annotation, field]
        plain = no_truth(value_of(value), field.annotation)
        return TypeAdapter[Any](typed, config=_FINITE).validate_python(plain)
    except ValueError as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        said = first.removeprefix("Value error, ")
        raise BadUsage(f"the setting {shorten(text)}: {said[:1].lower()}{said[1:]}") from error
