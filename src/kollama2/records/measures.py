"""What every measure means: its unit, its direction and one line that explains it.

Ours stand in `measures.json`. Those of lm-eval bring what their task's file says; it is recorded
with the evaluation, and whoever reads the records asks for it, so nothing is guessed from a name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field


@dataclass(frozen=True)
class Measure:
    """A measure: `higher` says whether more is better; None where nobody has declared it.

    An evaluation records all but the explanation.
    """

    title: str
    unit: str
    higher: bool | None
    explanation: Annotated[str, Field(exclude=True)] = ""

    @property
    def better(self) -> str:
        """The direction in a word: higher, lower or unknown."""
        return "unknown" if self.higher is None else "higher" if self.higher else "lower"

    def declared(self) -> dict[str, Any]:
        """What an evaluation records of it."""
        return {"title": self.title, "unit": self.unit, "higher": self.higher}


MEASURES: dict[str, Measure] = {
    name: Measure(*declared)
    for name, declared in json.loads(
        Path(__file__).with_name("measures.json").read_text(encoding="utf-8")
    ).items()
}
"""Ours, by name: title, unit, whether more is better, explanation."""


def foreign(name: str, higher: bool | None = None, unit: str = "") -> Measure:
    """A measure of lm-eval's, in the direction that its task declares."""
    return Measure(name, unit, higher, "A metric of lm-eval; see its task's file.")


def measure(full_name: str, recorded: Mapping[str, Measure] = MappingProxyType({})) -> Measure:
    """The measure behind a full name such as `text-ko/bpb`.

    Args:
        full_name: task and measure.
        recorded: what the evaluation says of its measures (`measures` of its record). A name that
            is neither there nor among ours has no direction.
    """
    name = full_name.rpartition("/")[2]
    said, own = recorded.get(full_name), MEASURES.get(name)
    if said is None:
        return own or foreign(name)
    found = foreign(said.title, said.higher, said.unit)
    if own and own.title == found.title:
        found = replace(found, explanation=own.explanation)
    return found
