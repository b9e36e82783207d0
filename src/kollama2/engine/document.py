"""Documents: YAML files that know the line of every key, so that an error can name it.

All configuration is read here (studies, recipes, suites, profiles, mirrors), so that one place
bounds what a file can ask of the reader: its size, its nodes with all aliases followed, its depth.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from kollama2.errors import BadUsage, storage, writable
from kollama2.locale import say

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]

LARGEST = 1 << 20  # bytes
NODES = 20_000  # values and keys, an alias counted as what it stands for
DEPTH = 40
_TOO_MUCH = (
    f"it holds more than {NODES:,} values (an alias counts as what it stands for) or is nested "
    f"deeper than {DEPTH}"
)
_SHOWN = 100  # characters of a value or a problem that a message repeats


class Document:
    """A parsed YAML mapping and where each of its keys stands.

    Args:
        path: the file.
        text: what it held, where a study in a store kept it; relative paths in it are then taken
            from the current folder.

    Raises:
        BadUsage: there is no such file, it is not YAML, it is not a mapping, or it is too large.
        Denied, StorageTrouble: it cannot be read.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.folder = path.parent if text is None else Path.cwd()
        self.text = text = _text(path) if text is None else text
        with _parsing(path, text):
            loader = _Loader(text)
            node = loader.get_single_node()
            self._lines = _lines(node)
            self.tree: Any = None if node is None else loader.construct_document(node)
        if not isinstance(self.tree, dict):
            found = "nothing" if self.tree is None else f"a {type(self.tree).__name__}"
            raise BadUsage(
                say(
                    "{path}: expected a mapping of keys at the top, found {kind}",
                    path=path, kind=found,
                )
            )  # fmt: skip

    def where(self, path: Sequence[str | int]) -> str:
        """`file:line` of the deepest key on this path; parts that are no keys are passed over."""
        here: Keys = ()
        for part in path:
            if (*here, part) in self._lines:
                here = (*here, part)
        return f"{self.path}:{self._lines[here]}" if here else str(self.path)

    def fault(self, path: Sequence[str | int], message: str) -> BadUsage:
        """The error of a key: where it stands and what is wrong with it."""
        return BadUsage(f"{self.where(path)}: {message}")

    def read(
        self,
        model: type[M],
        tree: Any = None,
        path: Sequence[str | int] = (),
        context: object = None,
        filled: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
    ) -> M:
        """Validate a part of the document.

        Args:
            model: what the part should be.
            tree: the part; the whole document when None.
            path: the keys that lead to the part.
            context: what the validators of the model want to know beside it.
            filled: the keys of the part that stand elsewhere, and the path that leads to each.

        Raises:
            BadUsage: with file, line, key and the near name of an unknown key.
        """
        tree = self.tree if tree is None else tree
        try:
            return model.model_validate(tree, context=context)
        except ValidationError as error:
            first = _cause(error.errors(), tree)
            tag = (_tag(first),) if first["type"] == "union_tag_invalid" else ()
            outer = next(iter(_reached(first["loc"], tree).values()), None)
            where = (*filled.get(str(outer), path), *first["loc"], *tag)
            raise self.fault(where, _sentence(first, model, tree)) from error


def near(word: str, known: Sequence[str]) -> str:
    """A hint with the nearest known name, or the list of names when none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return say("did you mean {word!r}?", word=close[0])
    return say("known: {words}", words=", ".join(sorted(known)))


def shorten(text: str) -> str:
    """A text that a message can repeat."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _cause(errors: Sequence[Any], tree: Any) -> Any:
    """The error to tell: a misspelt key or kind, which is why other errors follow, or the first.

    Where the first is that of a union, the choice that fits furthest is what was meant.
    """
    for error in errors:
        kind = error["type"].startswith("union_tag_") and isinstance(error["input"], dict)
        if kind or error["type"] == "extra_forbidden":
            return error
    # Up to the last key or index of a location; what follows names a choice of a union.
    first = errors[0]["loc"]
    place = first[: max(_reached(first, tree), default=-1) + 1]
    same = [error for error in errors if error["loc"][: len(place)] == place]
    return max(same, key=lambda error: len(error["loc"]))


def _reached(place: Keys, tree: Any) -> dict[int, str | int]:
    """The keys and indices in a location, by their position; its other parts name choices."""
    found = {}
    for number, part in enumerate(place):
        keys = tree if isinstance(tree, dict) else range(len(tree) if isinstance(tree, list) else 0)
        if part in keys:
            tree, found[number] = tree[part], part
    return found


def _sentence(error: Any, model: type[BaseModel], tree: Any) -> str:
    place, value = error["loc"], error.get("input")
    inside = [part for part in _reached(place, tree).values() if isinstance(part, str)]
    key = inside[-1] if inside else ""
    match error["type"]:
        case "extra_forbidden":
            hint = near(key, _fields(model, place[:-1]))
            return say("unknown key {key!r}; {hint}", key=shorten(key), hint=hint)
        case "missing" if isinstance(place[-1], int):
            return f"{key} has no value number {place[-1] + 1}, got {shorten(repr(value))}"
        case "missing":
            return say("the key {key!r} is missing", key=place[-1])
        case "tuple_type" | "list_type" if isinstance(value, str):
            return f"{key} is {shorten(repr(value))}; give a list, such as [{shorten(value)}]"
        case "union_tag_not_found":
            return say("the key {key!r} is missing", key=_tag(error))
        case "union_tag_invalid":
            *known, last = error["ctx"]["expected_tags"].replace("'", "").split(", ")
            found = shorten(repr(error["ctx"]["tag"]))
            return f"{_tag(error)} is {found}; use {', '.join(known)} or {last}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    named = "" if not key or message.startswith(key) else f"{key}: "
    ours = error["type"] == "value_error"  # such a sentence tells the value where that helps
    told = not isinstance(value, str | int | float) or (ours and repr(value) in message)
    return f"{named}{message}" + ("" if told else f", got {shorten(repr(value))}")


def _tag(error: Any) -> str:
    """The key that tells the members of a union apart."""
    return str(error["ctx"]["discriminator"]).strip("'_()")


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The field names of the models that can lie at this path inside `model`."""
    here = [model]
    for part in ("root", *path):
        held = [f.annotation for one in here for name, f in _named(one) if name == part]
        types = [kind for one in held for kind in _types(one) if isinstance(kind, type)]
        inner = [kind for kind in types if issubclass(kind, BaseModel)]
        tagged = [one for one in here for _, f in _named(one) if part in get_args(f.annotation)]
        here = inner or tagged or here  # an index or a free name changes nothing
    return sorted({name for one in here for name, _ in _named(one)})


def _named(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _types(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(t for a in arguments for t in _types(a))]


def value_of(text: str) -> Any:
    """A single value as a document would hold it; what is no YAML is text.

    Raises:
        ValueError: no document may hold it, such as a number that is not finite.
    """
    try:
        return _Loader(text).get_single_data()
    except _Broken as error:
        raise ValueError(error.problem) from error
    except yaml.YAMLError:
        return text


def nodes(path: Path) -> list[yaml.Node]:
    """The nodes of all documents in a file, whose values are not made: their tags may name code.

    Raises:
        BadUsage, Denied, StorageTrouble: as `Document`.
    """
    text = _text(path)
    with _parsing(path, text):
        found = list(yaml.compose_all(text, Loader=_Loader))
        for node in found:
            _lines(node)
    return found


def _lines(node: yaml.Node | None) -> dict[Keys, int]:
    """The line of every key; refuses what would take too long, and what cannot be a key."""
    lines: dict[Keys, int] = {}
    seen = 0

    def note(node: yaml.Node | None, path: Keys) -> None:
        nonlocal seen
        seen += 1
        if seen > NODES or len(path) > DEPTH:
            raise _Broken(_TOO_MUCH, node)
        if isinstance(node, yaml.MappingNode):
            given = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _Broken("a key must be a word, not a list or a mapping", key)
                if key.value in given:
                    raise _Broken(f"the key {shorten(key.value)!r} is given twice", key)
                given.add(key.value)
                here: Keys = (*path, key.value)
                lines[here] = key.start_mark.line + 1
                note(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                here = (*path, index)
                lines[here] = value.start_mark.line + 1
                note(value, here)

    note(node, ())
    return lines


def _text(path: Path) -> str:
    with storage(path):
        if not path.exists():
            raise BadUsage(say("{path}: no such file", path=path))
        if path.is_dir():
            raise BadUsage(say("{path} is a folder; name a YAML file", path=path))
        with path.open("rb") as file:  # it may be a pipe, whose size nobody knows
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise BadUsage(f"{path} is larger than the {LARGEST:,} bytes that such a file may have")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadUsage(f"{path} cannot be read as UTF-8 text: {error}") from error


class _Broken(yaml.MarkedYAMLError):
    """What YAML allows and no file of ours may hold."""

    def __init__(self, problem: str, node: Any) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


@contextmanager
def _parsing(path: Path, text: str) -> Iterator[None]:
    """Say what the parser refuses in one sentence with its line."""
    try:
        yield
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"the character #x{ord(text[error.position]):04x} is not allowed"
        raise BadUsage(f"{path}:{line}: not valid YAML: {found}") from error
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, " ".join(str(error.problem).split())[: 2 * _SHOWN]
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        verdict = "" if isinstance(error, _Broken) else say("not valid YAML: ")
        raise BadUsage(f"{place}: {verdict}{problem}") from error


class _Loader(yaml.SafeLoader):
    """SafeLoader that stops at the limits while it reads, and makes only values that are meant."""

    nodes = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes += 1
        self.depth += 1
        if self.nodes > NODES or self.depth > DEPTH + 1:
            raise _Broken(_TOO_MUCH, self.peek_event())  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _value(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A value in the type that its tag names.

    Numbers are finite and fit 64 bits, texts can be written as UTF-8 and name a file.
    """
    kind = node.tag.rpartition(":")[2]
    shown = shorten(repr(node.value))
    try:
        value = yaml.SafeLoader.yaml_constructors[node.tag](loader, node)
    except (ValueError, KeyError, IndexError, OverflowError, AttributeError) as error:
        raise _Broken(f"{shown} is no {kind}", node) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise _Broken(f"{shown} is no finite number", node)
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise _Broken(f"{shown} is too large a number", node)
    if isinstance(value, str) and ("\0" in value or not writable(value)):
        raise _Broken(f"{shown} holds a NUL or half of a character", node)
    return value


for _kind_of_scalar in ("int", "float", "bool", "timestamp", "binary", "str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind_of_scalar}", _value)
