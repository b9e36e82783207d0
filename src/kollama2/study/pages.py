"""Pages that are written from files and models, so that the two cannot differ."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from kollama2.study.json_schema import json_schema
from kollama2.study.schema import RecipeFile
from kollama2.study.steps import STEPS, AnyStep

_WIDTH = 100
_SETTINGS = """\
# Settings

Every key of a study and of its steps. `python scripts/write_settings_page.py` writes this page from
the models that read the files; `kollama2 schema` gives the same to an editor.
"""
_PARTS = {
    "Sources, and the base": "SourceSpec",
    "Budget": "Budget",
    "Controls": "Controls",
    "Endpoints": "EndpointSpec",
}
_KINDS = {
    "SourceSpec": "source",
    "Budget": "budget",
    "Controls": "controls",
    "EndpointSpec": "endpoint",
    "RateProbe": "`probe` and `share`",
    "Keys": "keys of steps",
}
_VALUES = {
    "axes": "axis → option → step, keys, or `none`",
    "with": "source name, steps, or a list of either",
}
"""What is too deep for `_value` to say."""
_SIGNS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def source_of(recipe: RecipeFile, step: int, field: str) -> str:
    """Where the value of a step's field comes from; steps count from 1."""
    numbers = recipe.numbers
    return numbers.get(f"{step}.{field}", "" if field == "kind" else numbers.get(field, ""))


def page(recipe: RecipeFile) -> str:
    """The page in Markdown: what it is, evidence, when to use it, cost, every number, notes."""
    parts = [
        f"# {recipe.name}\n\n{recipe.title}\n",
        f"    kollama2 adapt {recipe.base.uri} --recipe {recipe.name} -o OUT\n",
        f"## What it is\n\n{_filled(recipe.about)}",
        f"## Evidence\n\n{_filled(recipe.evidence)}",
        f"## When to use it\n\n{_filled(recipe.when)}",
        f"## Cost at 7B\n\n{_filled(recipe.cost)}",
        f"## Numbers\n\n{_numbers(recipe)}",
    ]
    if recipe.notes:
        parts.append("## Notes\n\n" + "".join(f"- {note.strip()}\n" for note in recipe.notes))
    return "\n".join(parts)


def _filled(text: str) -> str:
    return textwrap.fill(text.strip(), _WIDTH) + "\n"


def _numbers(recipe: RecipeFile) -> str:
    rows = ["| step | field | value | source |", "|--:|---|---|---|"]
    if "template" in recipe.numbers:
        rows.append(f"| | template | {recipe.template} | {recipe.numbers['template']} |")
    for number, step in enumerate(recipe.steps, 1):
        for field, value in step.items():
            if field == "kind":
                rows.append(f"| {number} | | {value} | |")
            else:
                where = source_of(recipe, number, field)
                rows.append(f"| {number} | {field} | {_shown(value)} | {where} |")
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(share)}" for name, share in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "; ".join(map(_shown, value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def settings_page() -> str:
    """The page in Markdown of every key of a study and of its steps."""
    study, step = json_schema("study"), AnyStep.model_json_schema()
    parts = [_SETTINGS, "## The study\n", _table(study)]
    for title, name in _PARTS.items():
        part = study["$defs"][name]
        parts += [f"## {title}\n", f"{part['description']}\n", _table(part)]
    for one in dict.fromkeys(STEPS.values()):
        kinds = ", ".join(f"`{kind}`" for kind, other in STEPS.items() if other is one)
        part = step["$defs"][one.__name__]
        parts += [f"## {kinds}\n", f"{part['description']}\n", _table(part, _own(one))]
    return "\n".join(parts)


def _own(step: type[BaseModel]) -> list[str]:
    """The keys that the step itself declares, which say what it works on."""
    return [step.model_fields[name].alias or name for name in step.__annotations__]


def _table(part: Mapping[str, Any], first: Sequence[str] = ()) -> str:
    rows = ["| key | value | default | bounds | what it is |", "|---|---|---|---|---|"]
    for key in dict.fromkeys([*first, *part["properties"]]):
        field = part["properties"][key]
        if key != "kind":
            default = "required" if key in part.get("required", ()) else _default(field)
            value = _VALUES.get(key) or _value(field)
            cells = [f"`{key}`", value, default, _bounds(field), field["description"]]
            rows.append("|".join(["", *(f" {cell} " if cell else " " for cell in cells), ""]))
    return "\n".join(rows) + "\n"


def _value(field: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    match field:
        case {"$ref": ref}:
            return _KINDS.get(ref.rpartition("/")[2], "step")
        case {"const": one}:
            return f"`{one}`"
        case {"enum": some}:
            return ", ".join(f"`{one}`" for one in some)
        case {"oneOf": _}:
            return "step"
        case {"anyOf": some}:
            ways = [_value(one) for one in some if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(ways))
        case {"type": "array"}:
            return f"list of {_several(field.get('items') or field['prefixItems'][0])}"
        case {"type": "object"}:
            named = field.get("patternProperties") or {"": field["additionalProperties"]}
            return f"names with {_several(next(iter(named.values())))}"
    return str(field["type"])


def _several(field: Mapping[str, Any]) -> str:
    one = _value(field)
    return one if one.endswith(("`", "s")) or " " in one else f"{one}s"


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    shown = value not in (None, [], "") and not isinstance(value, dict)
    return f"`{json.dumps(value, ensure_ascii=False)}`" if shown else ""


def _bounds(field: Mapping[str, Any]) -> str:
    """The bounds of a number, also of one that may be null or something else, or of each listed."""
    choices = (field, *field.get("anyOf", ()))
    listed = (each for one in choices for each in (one.get("items"), *one.get("prefixItems", ())))
    found = [
        f"{sign} {choice[name]:,}"
        for choice in (*choices, *filter(None, listed))
        for name, sign in _SIGNS.items()
        if name in choice
    ]
    return ", ".join(dict.fromkeys(found))
