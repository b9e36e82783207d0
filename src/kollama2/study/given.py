"""Given: what a person sets in the place of a recipe's numbers, for one model."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from kollama2.engine.arithmetic import Dtype
from kollama2.engine.closed import no_truth
from kollama2.engine.document import near, shorten, value_of
from kollama2.errors import BadUsage
from kollama2.study.schema import parse_bytes
from kollama2.study.steps import BUDGETS, KEYS
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import TrainSettings
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings

AUTO = "auto"
_FINITE = ConfigDict(allow_inf_nan=False)
_MODELS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "pretrain": (TrainSettings,),
    "finetune": (TrainSettings,),
    "prefer": (PreferSettings,),
    "merge": (MergeSettings,),
    "prune_vocab": (PruneSettings,),
    "expand_vocab": (VocabSettings, InitSettings),
}


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
        BadUsage: no step has this setting, or the value cannot be.
    """
    changes: list[dict[str, Any]] = [{} for _ in kinds]
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadUsage(
                f"--set {shorten(repr(text))} has no value; write NAME=VALUE, e.g. lr=1e-4"
            )
        where, key = _steps(name.strip(), kinds)
        for step in where:
            field = _fields(kinds[step])[key]
            if key in BUDGETS:
                changes[step] |= {one: None for one in BUDGETS if one in KEYS[kinds[step]]}
            auto = key == "dtype" and value == AUTO
            changes[step][key] = fast if auto else _value(text, key, value, field)
    return changes


def _steps(name: str, kinds: Sequence[str]) -> tuple[list[int], str]:
    number, _, key = name.rpartition(".")
    if number and number not in map(str, range(1, len(kinds) + 1)):
        raise BadUsage(
            f"--set {shorten(name)}: this recipe has steps 1 to {len(kinds)}; {shorten(number)} is "
            "none"
        )
    steps = [int(number) - 1] if number else list(range(len(kinds)))
    found = [step for step in steps if key in _fields(kinds[step])]
    if not found:
        known = sorted({one for step in steps for one in _fields(kinds[step])})
        raise BadUsage(
            f"--set {shorten(name)}: no setting is called {shorten(repr(key))}; {near(key, known)}"
        )
    return found, key


def _fields(kind: str) -> dict[str, FieldInfo]:
    """The settings of a step by their names; the seed is an option, the order that of phases."""
    return {
        name: field
        for model in _MODELS.get(kind, ())
        for name, field in model.model_fields.items()
        if name in KEYS[kind] and name not in ("seed", "order")
    }


def _value(text: str, key: str, value: str, field: FieldInfo) -> Any:
    try:
        plain = no_truth(value_of(value), field.annotation)
        if key in ("bytes", "korean_bytes"):
            plain = parse_bytes(plain)
        typed: Any = Annotated[field.annotation, field]
        return TypeAdapter[Any](typed, config=_FINITE).validate_python(plain)
    except ValueError as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise BadUsage(f"--set {shorten(text)}: {first[:1].lower()}{first[1:]}") from error
