"""Write docs/settings.md and docs/schema/ from the models that read a person's files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kollama2.study.json_schema import FILES, json_schema
from kollama2.study.steps import STEPS, AnyStep

DOCS = Path(__file__).parent.parent / "docs"
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


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    for kind in FILES:
        text = json.dumps(json_schema(kind), ensure_ascii=False, indent=2)
        (DOCS / "schema" / f"{kind}.json").write_text(text + "\n", encoding="utf-8")
