"""The fixed texts of the report in English and Korean; `texts.json` holds every one of them."""

import json
from functools import cache
from pathlib import Path

from kollama2.locale import LANGUAGES, Language, fill

Texts = dict[Language, str]


@cache
def texts() -> dict[str, Texts]:
    """All texts: key -> language -> text."""
    path = Path(__file__).with_name("texts.json")
    found: dict[str, Texts] = json.loads(path.read_text(encoding="utf-8"))
    return found


def say(key: str, language: Language, **values: object) -> str:
    """One text with its values filled in; one that is a text itself in the same language."""
    told = {name: one[language] if isinstance(one, dict) else one for name, one in values.items()}
    return fill(texts()[key][language], told)


def say_all(key: str, **values: object) -> Texts:
    """One text in every language."""
    return {language: say(key, language, **values) for language in LANGUAGES}


def measure_title(measure: str, language: Language) -> str:
    """The name of a measure, e.g. `bits per byte`; an unknown one keeps its own name."""
    name = measure.rpartition("/")[2]
    found = texts().get(f"measure.{name}")
    return found[language] if found else name
