"""A stage: one cached step as a frozen value, whose key follows from what would change its result.

Nothing in a stage says where or how it runs. A stage found in a field, however deep, is an input.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    model_serializer,
    model_validator,
)

from kollama2.engine.document import shorten
from kollama2.engine.profile import Resources

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from typing_extensions import Self


S = TypeVar("S", bound="Stage")


class Stage(BaseModel):
    """One step of a recipe. A subclass narrows `kind` to a literal and says how to `run`.

    A recipe, the content of `stage.json`, is read by the class of its kind: by the one that stands
    in a field or, where that is a base class, by the one below it that has the kind. So
    `Stage.model_validate` reads any whose module is imported.

    Fields are plain values, tuples, dictionaries with text keys, nested models and other stages;
    sets are refused because their order differs between processes. Fields at their default do not
    count in the key, so that a new field with a default keeps the old results; therefore never
    change a default or a meaning: raise `version`. Plain models that stand in a union need a field
    with a literal that tells them apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: ClassVar[int] = 1
    """Raise it when the code makes another result from the same fields."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that a worker imports once, ahead of all stages."""
    inline: ClassVar[bool] = False
    """Cheap enough to be computed in the main process."""
    shared: ClassVar[bool] = False
    """Several processes under torchrun can compute it together, where a profile gives it GPUs."""

    kind: str

    @cached_property
    def key(self) -> str:
        """12 hex digits over kind, version and the fields that differ from their defaults."""
        fields = {"kind": self.kind, "version": self.version, "fields": _differing(self)}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The name of the stage's folder: kind and key."""
        return f"{self.kind}-{self.key}"

    def inputs(self) -> tuple["Stage", ...]:
        """The stages in the fields, each once, in the order of the fields."""
        found = {stage.name: stage for _, value in _fields(self) for stage in _stages(value)}
        return tuple(found.values())

    def recipe(self) -> dict[str, Any]:
        """The whole readable recipe, nested stages in full: the content of `stage.json`."""
        return {name: _plain(value, Stage.recipe, name) for name, value in _fields(self)}

    @model_validator(mode="wrap")
    @classmethod
    def _by_kind(cls, given: Any, read: "ModelWrapValidatorHandler[Self]") -> "Self":
        if _kinds(cls) or not isinstance(given, dict):
            return read(given)
        below = list(_below(cls))
        for one in below:
            if given.get("kind") in _kinds(one):
                return one.model_validate(given)
        known = sorted({kind for one in below for kind in _kinds(one)})
        if not known:
            return read(given)
        what = shorten(repr(given.get("kind")))
        raise ValueError(f"kind is {what}, and these can be read: {', '.join(known)}")

    def run(self, work: "Work") -> Mapping[str, Any]:
        """Do the work into `work.out` and return the metrics for `done.json`."""
        raise TypeError(f"a stage of kind {self.kind} cannot be run: it defines no run()")

    def stands(self, root: Path, *, direct: bool = True) -> bool:
        """Whether what this finished stage points at outside the store is what it was.

        Args:
            root: the store.
            direct: whether it is read itself, or only what was made of it.
        """
        return True

    def model_post_init(self, context: object, /) -> None:
        """Refuse what has no stable key where it is written, not hours later."""
        _ = self.key

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "Self":
        """Another stage with some fields changed; validated, and with a key of its own."""
        return type(self).model_validate({**dict(_fields(self)), **(update or {})})

    @model_serializer(mode="plain")
    def _serialize(self) -> dict[str, Any]:
        # By the class of the value: a field declared as a mere `Stage` loses nothing.
        return self.recipe()

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.name == other.name


@dataclass(frozen=True)
class Work:
    """Where one stage works and what it may use."""

    out: Path
    """Survives a kill, so that the stage can resume here; becomes the finished folder."""
    scratch: Path
    """Survives a kill too, but is removed before the result is published."""
    resources: Resources
    path: Callable[[Stage], Path]
    """The finished folder of an input; what was damaged since is refused here."""
    tell: Callable[[dict[str, Any]], None]
    """Receives each progress as a dictionary; `progress` is the convenient way to call it."""

    def progress(self, done: float, total: float, unit: str, **figures: float | str) -> None:
        """Say how far the work is, as often as you like.

        Args:
            done: units finished, of `total`.
            total: all units of this stage.
            unit: the trade word for them, e.g. "steps" or "items".
            **figures: more to show, e.g. loss or tokens_per_second.
        """
        self.tell({"done": done, "total": total, "unit": unit, **figures})


def _kinds(stage: type[Stage]) -> tuple[str, ...]:
    """The kinds of a class; none of a base class, which is of no kind itself."""
    return get_args(stage.model_fields["kind"].annotation)


def _below(base: type[S]) -> Iterator[type[S]]:
    for one in base.__subclasses__():
        yield one
        yield from _below(one)


def closure(stage: Stage) -> dict[str, Stage]:
    """A stage and all it is made of, inputs first."""
    found: dict[str, Stage] = {}
    for needed in stage.inputs():
        found.update(closure(needed))
    found[stage.name] = stage
    return found


def why(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields in which two recipes (contents of `stage.json`) differ.

    Returns:
        `(path, value in a, value in b)` in the order of the paths, e.g.
        `("model.data.revision", "9c1e", "77ab")`; a field that one side lacks is None there.
    """
    left, right = dict(_leaves(a, "")), dict(_leaves(b, ""))
    paths = sorted(left.keys() | right.keys())
    return [(p, left.get(p), right.get(p)) for p in paths if left.get(p) != right.get(p)]


def _fields(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Declared fields only: iterating the model itself would also give its cached properties."""
    for name in type(model).model_fields:
        yield name, getattr(model, name)


def _differing(model: BaseModel) -> dict[str, Any]:
    """The fields that differ from their defaults, nested stages as their keys."""
    return {
        name: _plain(value, lambda stage: {"stage": stage.name}, name)
        for name, value in _fields(model)
        if not _is_default(type(model).model_fields[name], value)
    }


def _is_default(field: "FieldInfo", value: object) -> bool:
    if field.is_required():
        return False
    tag = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    return not tag and bool(value == field.get_default(call_default_factory=True))


def _plain(value: Any, nested: Callable[[Stage], Any], where: str) -> Any:
    """A value as JSON, the same in every process; `nested` says what stands for a stage in it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value + 0.0  # -0.0 becomes 0.0
        case Stage():
            return nested(value)
        case BaseModel() if nested is Stage.recipe:
            return {name: _plain(item, nested, f"{where}.{name}") for name, item in _fields(value)}
        case BaseModel():
            return _differing(value)
        case tuple() | list():
            return [_plain(item, nested, f"{where}[{i}]") for i, item in enumerate(value)]
        case dict() if all(isinstance(name, str) for name in value):
            return {name: _plain(item, nested, f"{where}.{name}") for name, item in value.items()}
        case _:
            raise TypeError(
                f"{where} holds {value!r}, which has no stable key; a stage's fields are finite "
                "numbers, text, tuples, dictionaries with text keys, models and stages"
            )


def _stages(value: object) -> Iterator[Stage]:
    match value:
        case Stage():
            yield value
        case BaseModel():
            for _, item in _fields(value):
                yield from _stages(item)
        case tuple() | list():
            for item in value:
                yield from _stages(item)
        case dict():
            for item in value.values():
                yield from _stages(item)


def _leaves(value: object, path: str) -> Iterator[tuple[str, Any]]:
    match value:
        case Mapping() if value:
            for name, item in value.items():
                yield from _leaves(item, f"{path}.{name}" if path else str(name))
        case list() | tuple() if value:
            for i, item in enumerate(value):
                yield from _leaves(item, f"{path}[{i}]")
        case _:
            yield path, value
