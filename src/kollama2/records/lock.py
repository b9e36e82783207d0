"""The lock of a study: its cells by the names of the stages that answer them."""

import hashlib
import json
from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from kollama2.records.read import Record

StageName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


class Cell(Record):
    """One recipe under one suite and one seed, with the stages that lead to it in order.

    Attributes:
        data: the sources of the suite's data.
        contamination: the stage that looked the suite up in the training data; None where there
            are none.
    """

    recipe: str
    options: dict[str, str] = {}
    seed: int
    suite: str
    base: bool = False
    evaluate: StageName
    model: StageName
    path: tuple[StageName, ...]
    data: tuple[StageName, ...] = ()
    contamination: StageName | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that a report reads: those of the path, the evaluation and the check."""
        check = () if self.contamination is None else (self.contamination,)
        return (*self.path, self.model, self.evaluate, *check)


class Suite(Record):
    """A suite's tasks, and the full names of their measures."""

    tasks: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()


class Lock(Record):
    """A study with every source pinned; without any path of a machine.

    Attributes:
        sha256: of all the rest, so that any changed letter is found; None in an older lock.
    """

    study: str
    about: str = ""
    kollama2: str
    yaml: str = ""
    primary: str
    english: str | None
    suites: dict[str, Suite]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    sha256: str | None = None

    def sealed(self) -> Self:
        """The same with its checksum."""
        return self.model_copy(update={"sha256": self._sha256()})

    def _sha256(self) -> str:
        body = self.model_dump(mode="json", exclude_unset=True, exclude={"sha256"})
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        if len({cell.recipe for cell in self.cells if cell.base}) != 1:
            raise ValueError("must mark exactly one recipe as the base")
        if self.sha256 not in (None, self._sha256()):
            raise ValueError("is damaged: its own checksum does not fit")
        return self
