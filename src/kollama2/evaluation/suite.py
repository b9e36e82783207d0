"""Suites: named, frozen sets of tasks, read from YAML; nothing here needs torch."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kollama2.engine.document import Document
from kollama2.errors import BadUsage
from kollama2.evaluation import kinds
from kollama2.evaluation.chats import ExactMatch, InstructionRules
from kollama2.evaluation.fidelity import VERSION as FIDELITY_VERSION
from kollama2.evaluation.kinds import Generation, Harness, Mean, Name, Translation, TranslationPmi

# Raise it when the same suite, data and model would give other numbers than before.
SCORER_VERSION = 2
# The project's own task files in lm-eval's form.
TASKS = Path(__file__).parent / "tasks"

# What a model is asked by chats alone, so that one behind an endpoint can answer it too.
Asked: TypeAlias = Generation | Translation | ExactMatch | InstructionRules
Task: TypeAlias = Annotated[
    kinds.BitsPerByte
    | kinds.InstructionGain
    | kinds.TranslationPmi
    | kinds.MultipleChoice
    | kinds.Rating
    | kinds.Induction
    | kinds.ContextGain
    | Harness
    | Mean
    | Asked,
    Field(discriminator="measure_kind"),
]


class Suite(BaseModel):
    """A named set of tasks; `primary` ranks the models, `english` is the constraint beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    primary: str
    english: str | None = None
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_consistent(self) -> "Suite":
        names = [task.name for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two tasks are named {twice[0]!r}")
        for measure in (self.primary, self.english):
            if measure is not None and measure not in self.measures():
                known = ", ".join(self.measures())
                raise ValueError(f"{measure!r} is no measure of this suite; it has {known}")
        before: set[str] = set()
        for task in self.tasks:
            for part in task.parts if isinstance(task, Mean) else ():
                if part.measure not in before:
                    raise ValueError(f"{task.name}: no task before it measures {part.measure!r}")
            before.update(f"{task.name}/{name}" for name in task.measures)
        return self

    def measures(self) -> tuple[str, ...]:
        """Full names of all measures, `<task>/<measure>`, in the order of the tasks."""
        return tuple(f"{task.name}/{name}" for task in self.tasks for name in task.measures)

    def resolved(self, resolve: Callable[[str], Path]) -> "Suite":
        """The same suite with every uri replaced by the local path that `resolve` gives."""
        return self.model_copy(update={"tasks": tuple(one.resolved(resolve) for one in self.tasks)})

    def defined(self) -> "Suite":
        """The same suite, its lm-eval tasks with the hash or version of what defines them."""
        return self.model_copy(
            update={
                "tasks": tuple(
                    one.model_copy(update={"definition": definition(one.tasks)})
                    if isinstance(one, Harness)
                    else one
                    for one in self.tasks
                )
            }
        )

    def pinned(self) -> dict[str, str | None]:
        """Every uri that the tasks name, sorted, with its commit where a task pins one."""
        pins: dict[str, str | None] = {}
        for task in self.tasks:
            for uri in task.uris():
                pins[uri] = pins.get(uri) or task.revision
        return dict(sorted(pins.items()))

    def hash(self, digests: Mapping[str, str] = MappingProxyType({})) -> str:
        """Frozen id (12 hex) of data, prompts, limits and scorer; data must be local files.

        Where the files lie is not part of it, so every machine gives one suite the same id.

        Args:
            digests: by task, the hash of the texts that the models are shown, of lm-eval's tasks
                and of those that read a data set of the hub.
        """
        tasks = []
        for task in self.tasks:
            places = {"data", "file", "revision", "include", "definition", "files"}
            fields = task.model_dump(mode="json", exclude=places)
            if isinstance(task, Harness | ExactMatch | InstructionRules):
                fields["sha256"] = digests[task.name]
            elif isinstance(task, Translation | TranslationPmi) and task.files:
                fields["sha256"] = {name: _sha256(one) for name, one in task.files.items()}
            elif task.data:
                fields["sha256"] = _sha256(task.data)
            if isinstance(task, Generation | Translation):
                fields["fidelity"] = FIDELITY_VERSION
            tasks.append(fields)
        frozen = {"scorer": SCORER_VERSION, "name": self.name, "tasks": tasks}
        text = json.dumps(frozen, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def definition(names: Sequence[str]) -> str:
    """What defines lm-eval tasks: a hash of the project's own files, and lm-eval's version."""
    own = {path.parent for name in names for path in TASKS.rglob(f"{name}.yaml")}
    digest = hashlib.sha256(version("lm_eval").encode())
    for folder in sorted(own):
        for path in sorted(folder.glob("*.*")):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def shipped() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / "suites").glob("*.yaml")))


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite by the name of a shipped one or from a YAML file.

    Raises:
        BadUsage: no such suite, not YAML, or a key or value that a suite cannot have.
    """
    path = Path(name_or_path)
    if str(name_or_path) in shipped():
        path = Path(__file__).parent / "suites" / f"{name_or_path}.yaml"
    elif not path.is_file():
        known = ", ".join(shipped())
        raise BadUsage(f"no suite {str(name_or_path)!r}: give a YAML file or one of {known}")
    return Document(path).read(Suite).defined()
