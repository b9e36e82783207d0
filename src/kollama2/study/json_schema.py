"""JSON Schema of the files that a person writes, so that an editor completes and checks them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from kollama2.engine.profile import Profile
from kollama2.evaluation.suite import Suite
from kollama2.study.schema import RecipeFile, Study
from kollama2.study.steps import STEPS, AnyStep

FILES: Mapping[str, type[BaseModel]] = {
    "study": Study,
    "suite": Suite,
    "profile": Profile,
    "recipe": RecipeFile,
}
"""What each kind of file holds."""
_NULL: Mapping[str, Any] = {"type": "null"}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of file, one of `FILES`."""
    schema = FILES[kind].model_json_schema(schema_generator=_Untitled)
    if kind in ("study", "recipe"):
        step = AnyStep.model_json_schema(schema_generator=_Untitled)
        known = {one.__name__: step["$defs"][one.__name__] for one in STEPS.values()}
        schema["$defs"] |= step["$defs"] | {"Keys": _keys(known.values())}
        schema["$defs"] |= {name: _with_nulls(one) for name, one in known.items()}
        if kind == "study":
            _options(schema, known)
        else:
            schema["properties"]["steps"]["items"] = {"oneOf": step["oneOf"]}
            schema["$defs"]["Twin"]["properties"]["steps"]["items"] = {"$ref": "#/$defs/Keys"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _options(schema: dict[str, Any], steps: Mapping[str, dict[str, Any]]) -> None:
    """Let an option of an axis be a step, keys of the steps after it, or nothing."""
    options = {f"{name}Option": _option(name, step) for name, step in steps.items()}
    schema["$defs"] |= options
    kinds = [{"$ref": f"#/$defs/{name}"} for name in options]
    nothing = [{"const": "none"}, _NULL]
    (axis,) = schema["properties"]["axes"]["patternProperties"].values()
    (option,) = axis["patternProperties"].values()
    option["anyOf"] = [*kinds, {"$ref": "#/$defs/Keys"}, *nothing]


def _option(name: str, step: Mapping[str, Any]) -> dict[str, Any]:
    """A step in an axis: an option before it may give all its keys but the kind.

    It gives none to the steps inside a merge, which therefore keep what they require.
    """
    properties: dict[str, Any] = {}
    for key in step["properties"]:
        same = {"$ref": f"#/$defs/{name}/properties/{key}"}
        filled = key != "kind" and key in step["required"]
        properties[key] = {"anyOf": [same, _NULL]} if filled else same
    return {**step, "required": ["kind"], "properties": properties}


def _with_nulls(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step whose keys may be null, as if they were not there, but for those that it needs."""
    properties = dict(step["properties"])
    for key, value in properties.items():
        if key not in step["required"]:
            about = {word: value[word] for word in ("description", "default") if word in value}
            kind = {word: it for word, it in value.items() if word not in about}
            ways = kind["anyOf"] if kind.keys() == {"anyOf"} else [kind]
            nullable = ways if _NULL in ways else [*ways, _NULL]
            properties[key] = {**about, "anyOf": nullable}
    return {**step, "properties": properties}


def _keys(steps: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Keys of any step but its kind; what differs between steps may be as in each of them."""
    found: dict[str, list[Any]] = {}
    for step in steps:
        for key, value in step["properties"].items():
            if key != "kind" and value not in found.setdefault(key, []):
                found[key].append(value)
    return {
        "description": "Keys of steps; null takes one away.",
        "type": "object",
        "properties": {key: {"anyOf": [*ways, _NULL]} for key, ways in found.items()},
        "additionalProperties": False,
    }


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
