"""Documents: YAML files that know the line of every key, so that an error can name it."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from kollama2.errors import BadUsage, storage

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]


class Document:
    """A parsed YAML mapping and where each of its keys stands.

    Args:
        path: the file.
        text: what it held, where a study in a store kept it; relative paths in it are then taken
            from the current folder.

    Raises:
        BadUsage: there is no such file, it is not YAML, or it is not a mapping.
        Denied, StorageTrouble: it cannot be read.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.folder = path.parent if text is None else Path.cwd()
        self.text = text = _text(path) if text is None else text
        try:
            node = yaml.compose(text, Loader=_Loader)
            self.tree: Any = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f"{path}:{mark.line + 1}" if mark else str(path)
            problem = getattr(error, "problem", None) or "it is nested too deeply"
            raise BadUsage(f"{line}: not valid YAML: {problem}") from error
        if not isinstance(self.tree, dict):
            raise BadUsage(
                f"{path}: expected a mapping of keys at the top, found {_kind(self.tree)}"
            )
        self._lines: dict[Keys, int] = {}
        self._note(node, ())

    def _note(self, node: Any, path: Keys) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*path, key.value)
                self._lines[here] = key.start_mark.line + 1
                self._note(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                here = (*path, index)
                self._lines[here] = value.start_mark.line + 1
                self._note(value, here)

    def where(self, path: Sequence[str | int]) -> str:
        """`file:line` of the deepest key on this path that stands in the file."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(tuple(path[:length]))
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)

    def fault(self, path: Sequence[str | int], message: str) -> BadUsage:
        """The error of a key: where it stands and what is wrong with it."""
        return BadUsage(f"{self.where(path)}: {message}")

    def read(self, model: type[M], tree: Any = None, path: Sequence[str | int] = ()) -> M:
        """Validate a part of the document.

        Args:
            model: what the part should be.
            tree: the part; the whole document when None.
            path: the keys that lead to the part.

        Raises:
            BadUsage: with file, line, key and the near name of an unknown key.
        """
        try:
            return model.model_validate(self.tree if tree is None else tree)
        except ValidationError as error:
            errors = error.errors()
            # A misspelt key also leaves the right one missing; the misspelling is the cause.
            first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
            where = (*path, *first["loc"])
            raise self.fault(where, _sentence(first, model)) from error


def _text(path: Path) -> str:
    try:
        with storage(path):
            if not path.exists():
                raise BadUsage(f"{path}: no such file")
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadUsage(f"{path} cannot be read as UTF-8 text: {error}") from error


def near(word: str, known: Sequence[str]) -> str:
    """A hint with the nearest known name, or the list of names when none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def _sentence(error: Any, model: type[BaseModel]) -> str:
    key = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {near(key, _fields(model, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"the key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = error.get("input")
    shown = f", got {value!r}" if isinstance(value, str | int | float | bool) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The field names of the model that lies at this path inside `model`."""
    here: Any = model
    for part in path:
        field = here.model_fields.get(part) if _is_model(here) else None
        if field is None:
            continue  # an index, a free name or a tag of a union
        inner = [t for t in _types(field.annotation) if _is_model(t)]
        here = inner[0] if inner else here
    return [f.alias or name for name, f in here.model_fields.items()]


def _types(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(t for a in arguments for t in _types(a))]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, which YAML would silently overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
