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


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of file, one of `FILES`."""
    schema = FILES[kind].model_json_schema(schema_generator=_Untitled)
    if kind in ("study", "recipe"):
        step = AnyStep.model_json_schema(schema_generator=_Untitled)
        known = {one.__name__: step["$defs"][one.__name__] for one in STEPS.values()}
        schema["$defs"] |= step["$defs"] | {"Keys": _keys(known.values())}
        if kind == "study":
            _options(schema, known)
        else:
            schema["properties"]["steps"]["items"] = {"oneOf": step["oneOf"]}
            schema["$defs"]["Twin"]["properties"]["steps"]["items"] = {"$ref": "#/$defs/Keys"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _options(schema: dict[str, Any], steps: Mapping[str, dict[str, Any]]) -> None:
    """Let an option of an axis be a step, keys of the steps after it, or nothing."""
    for step in steps.values():
        step["required"] = ["kind"]  # an option before it may give the others
    kinds = [{"$ref": f"#/$defs/{name}"} for name in steps]
    nothing = [{"const": "none"}, {"type": "null"}]
    (axis,) = schema["properties"]["axes"]["patternProperties"].values()
    (option,) = axis["patternProperties"].values()
    option["anyOf"] = [*kinds, {"$ref": "#/$defs/Keys"}, *nothing]


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
        "properties": {key: {"anyOf": [*ways, {"type": "null"}]} for key, ways in found.items()},
        "additionalProperties": False,
    }


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
