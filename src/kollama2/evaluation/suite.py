"""Suites: named, frozen sets of tasks, read from YAML; nothing here needs torch."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kollama2.errors import BadData, BadUsage

if TYPE_CHECKING:
    from typing_extensions import Self

# Raise it when the same suite, data and model would give other numbers than before.
SCORER_VERSION = 1
# The project's own task files in lm-eval's form.
TASKS = Path(__file__).parent / "tasks"

FileFormat: TypeAlias = Literal["jsonl", "lines", "tsv", "csv"]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class _Task(BaseModel):
    """What every task has; `columns` maps our field to the file's column (name or position)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    lang: Literal["ko", "en", "ko-en"] = "ko"
    data: str = Field(description="uri, resolved to a local file before evaluation")
    revision: str | None = Field(None, description="commit of a hub repository; else the newest")
    file: str | None = Field(None, description="pattern of the file, where data hold several")
    format: FileFormat | None = Field(None, description="by the file's suffix when not given")
    columns: dict[str, str | int] = {}
    limit: int | None = Field(None, gt=0, description="only the first so many rows")

    def uris(self) -> tuple[str, ...]:
        """The uris that the task names."""
        return (self.data,) if self.data else ()

    def resolved(self, resolve: Callable[[str], Path]) -> "Self":
        """The same task with every uri replaced by the local path that `resolve` gives.

        Raises:
            BadData: the data hold several files and `file` does not say which one.
        """
        place = resolve(self.data)
        if place.is_dir():
            found = [one for one in sorted(place.rglob(self.file or "*")) if one.is_file()]
            if len(found) != 1:
                raise BadData(
                    f"task {self.name}: {place} holds {len(found)} files {self.file or '*'!r}, "
                    "expected one; name it in the task's `file`"
                )
            place = found[0]
        return self.model_copy(update={"data": str(place)})


class BitsPerByte(_Task):
    """Bits per UTF-8 byte of running text, in windows of equal bytes."""

    measure_kind: Literal["bits_per_byte"]
    window: int = Field(512, ge=16, description="bytes in one window, context included")
    context: int = Field(128, ge=0, description="bytes before the scored ones, not scored")

    measures: ClassVar[tuple[str, ...]] = ("bpb",)

    @model_validator(mode="after")
    def _context_leaves_room(self) -> "BitsPerByte":
        if self.context * 2 > self.window:
            raise ValueError(f"context {self.context} must be at most half of window {self.window}")
        return self


class InstructionGain(_Task):
    """Bits per byte that the right prompt saves on an answer, against another item's prompt."""

    measure_kind: Literal["instruction_gain"]

    measures: ClassVar[tuple[str, ...]] = ("gain",)


class TranslationPmi(_Task):
    """Bits per byte that the source saves on its translation, in both directions.

    `{source}` in a prompt stands for the source sentence; the prompt with an empty source is what
    it is compared with.
    """

    measure_kind: Literal["translation_pmi"]
    lang: Literal["ko", "en", "ko-en"] = "ko-en"
    to_korean: tuple[str, ...] = Field(
        ("다음 문장을 한국어로 번역하세요.\n{source}",), min_length=1, max_length=3
    )
    to_english: tuple[str, ...] = Field(
        ("다음 문장을 영어로 번역하세요.\n{source}",), min_length=1, max_length=3
    )

    measures: ClassVar[tuple[str, ...]] = ("pmi_en_ko", "pmi_ko_en")

    @model_validator(mode="after")
    def _prompts_hold_the_source(self) -> "TranslationPmi":
        for prompt in (*self.to_korean, *self.to_english):
            if prompt.count("{source}") != 1:
                raise ValueError(f"prompt {prompt!r} must hold {{source}} exactly once")
        return self


class MultipleChoice(_Task):
    """Likelihoods of given choices; `{question}` in the prompts stands for a row's question."""

    measure_kind: Literal["multiple_choice"]
    prompts: tuple[str, ...] = Field(("{question}",), min_length=1, max_length=3)

    measures: ClassVar[tuple[str, ...]] = ("p_gold", "accuracy", "margin", "brier", "acc")


class Generation(_Task):
    """Greedy answers, judged by their language."""

    measure_kind: Literal["generation"]
    max_new_tokens: int = Field(48, gt=0)

    measures: ClassVar[tuple[str, ...]] = (
        "fidelity",
        "hangul_share",
        "line_pass",
        "mixed_script",
        "invalid_utf8",
        "repetition",
        "eos",
        "empty",
    )


class Harness(_Task):
    """A task of lm-eval, by its name; with several names they are paraphrases of one another.

    A name may stand for a group of lm-eval, whose tasks are then measured together.

    Attributes:
        data: where the task's data lie; lm-eval fetches what its own file names if not given.
        tasks: names of lm-eval tasks: the project's own, lm-eval's, or those in `include`.
        include: uri of a folder (or YAML file) with task files of the user's own.
        definition: hash of the project's task files and of lm-eval's version; it is filled in.
        files: the file of each split, a pattern within `data`, for data that are no data set of
            the hub.
        cluster: the field of a document whose values are drawn together.
        num_fewshot: examples before each item; what the task's file says if not given.
        fewshot: `default` leaves the choice of examples to the task's file (new ones for every
            item, as a rule), `fixed` puts the same first ones before all items.
        chat: whether the model's chat template is put around each prompt.
    """

    measure_kind: Literal["harness"]
    data: str = ""
    tasks: tuple[str, ...] = Field(min_length=1, max_length=3)
    include: str | None = None
    definition: str | None = None
    files: dict[str, str] = {}
    cluster: str | None = None
    num_fewshot: int | None = Field(None, ge=0)
    fewshot: Literal["default", "fixed"] = "default"
    chat: bool = False

    measures: ClassVar[tuple[str, ...]] = (
        "p_gold", "acc", "acc_bytes", "acc_norm", "margin", "brier"
    )  # fmt: skip

    def uris(self) -> tuple[str, ...]:
        """The uris of the data and of the user's own task files."""
        return tuple(uri for uri in (self.data, self.include) if uri)

    def resolved(self, resolve: Callable[[str], Path]) -> "Self":
        """The same task with every uri replaced by the local path that `resolve` gives."""
        places = {"data": self.data, "include": self.include}
        return self.model_copy(
            update={name: str(resolve(uri)) for name, uri in places.items() if uri}
        )


Task: TypeAlias = Annotated[
    BitsPerByte | InstructionGain | TranslationPmi | MultipleChoice | Generation | Harness,
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
        pins = {task.data: task.revision for task in self.tasks if task.revision}
        uris = sorted({uri for task in self.tasks for uri in task.uris()})
        return {uri: pins.get(uri) for uri in uris}

    def hash(self, digests: Mapping[str, str] = MappingProxyType({})) -> str:
        """Frozen id (12 hex) of data, prompts, limits and scorer; data must be local files.

        Where the files lie is not part of it, so every machine gives one suite the same id.

        Args:
            digests: by task, the hash of the texts that an lm-eval task shows to the models.
        """
        tasks = []
        for task in self.tasks:
            places = {"data", "file", "revision", "include", "definition", "files"}
            fields = task.model_dump(mode="json", exclude=places)
            if isinstance(task, Harness):
                digest = digests[task.name]
            else:
                digest = hashlib.sha256(Path(task.data).read_bytes()).hexdigest()
            tasks.append({**fields, "sha256": digest})
        frozen = {"scorer": SCORER_VERSION, "name": self.name, "tasks": tasks}
        text = json.dumps(frozen, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Suite.model_validate(content).defined()
    except yaml.YAMLError as error:
        raise BadUsage(f"suite {path}: not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "suite"
        raise BadUsage(f"suite {path}: {where}: {first['msg']}") from error
