"""Kinds of tasks that a suite can hold, each with its settings and the measures that it yields."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from kollama2.errors import BadData
from kollama2.evaluation.fidelity import Fidelity

_URI = re.compile(r"(builtin|hf|file|github):.+")

FileFormat: TypeAlias = Literal["jsonl", "json", "lines", "tsv", "csv", "parquet"]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]


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

    least: ClassVar[int] = 1
    """Rows without which it measures nothing."""

    def uris(self) -> tuple[str, ...]:
        """The uris that the task names."""
        return (self.data,) if self.data else ()

    def resolved(self, resolve: Callable[[str], Path]) -> Self:
        """The same task with every uri replaced by the local path that `resolve` gives.

        Raises:
            BadData: the data hold several files and `file` does not say which one.
        """
        if not self.data:
            return self
        place = _one_file(self.name, resolve(self.data), self.file)
        return self.model_copy(update={"data": str(place)})


def _uris(files: Mapping[str, str]) -> tuple[str, ...]:
    """Those of a task's files that are uris of their own, not patterns within its data."""
    return tuple(one for one in files.values() if _URI.fullmatch(one))


def _placed(task: str, files: Mapping[str, str], resolve: Callable[[str], Path]) -> dict[str, str]:
    return {
        name: str(_one_file(task, resolve(one), None).absolute()) if _URI.fullmatch(one) else one
        for name, one in files.items()
    }


def _one_file(task: str, place: Path, pattern: str | None) -> Path:
    """The place itself, or the one file of a folder that the pattern fits."""
    if not place.is_dir():
        return place
    found = [one for one in sorted(place.rglob(pattern or "*")) if one.is_file()]
    if len(found) != 1:
        raise BadData(
            f"task {task}: {place} holds {len(found)} files {pattern or '*'!r}, expected one; "
            "name it in the task's `file`"
        )
    return found[0]


class _Pairs(_Task):
    """Sentences in two languages: rows with `en` and `ko`, or two files, line by line.

    Attributes:
        files: uris of the two files, by `en` and `ko`, in place of `data`.
    """

    data: str = ""
    lang: Literal["ko", "en", "ko-en"] = "ko-en"
    files: dict[str, str] = {}

    @model_validator(mode="after")
    def _data_or_files(self) -> Self:
        if self.files and (self.data or set(self.files) != {"en", "ko"}):
            raise ValueError("give either `data` or `files` with en and ko")
        return self

    def uris(self) -> tuple[str, ...]:
        """The uris of the data."""
        return _uris(self.files) or super().uris()

    def resolved(self, resolve: Callable[[str], Path]) -> Self:
        """The same task with every uri replaced by the local path that `resolve` gives."""
        if self.files:
            return self.model_copy(update={"files": _placed(self.name, self.files, resolve)})
        return super().resolved(resolve)


class BitsPerByte(_Task):
    """Bits per UTF-8 byte of running text, in windows of equal bytes."""

    measure_kind: Literal["bits_per_byte"]
    window: int = Field(512, ge=16, description="bytes in one window, context included")
    context: int = Field(128, ge=0, description="bytes before the scored ones, not scored")

    measures: ClassVar[tuple[str, ...]] = ("bpb",)

    @model_validator(mode="after")
    def _context_leaves_room(self) -> Self:
        if self.context * 2 > self.window:
            raise ValueError(f"context {self.context} must be at most half of window {self.window}")
        return self


class InstructionGain(_Task):
    """Bits per byte that the right prompt saves on an answer, against another item's prompt."""

    measure_kind: Literal["instruction_gain"]

    least: ClassVar[int] = 2  # one lends the other its prompt
    measures: ClassVar[tuple[str, ...]] = ("gain",)


class TranslationPmi(_Pairs):
    """Bits per byte that the source saves on its translation, in both directions.

    `{source}` in a prompt stands for the source sentence; the prompt with an empty source is what
    it is compared with.
    """

    measure_kind: Literal["translation_pmi"]
    to_korean: tuple[str, ...] = Field(
        ("다음 문장을 한국어로 번역하세요.\n{source}",), min_length=1, max_length=3
    )
    to_english: tuple[str, ...] = Field(
        ("다음 문장을 영어로 번역하세요.\n{source}",), min_length=1, max_length=3
    )

    measures: ClassVar[tuple[str, ...]] = ("pmi_en_ko", "pmi_ko_en")

    @model_validator(mode="after")
    def _prompts_hold_the_source(self) -> Self:
        for prompt in (*self.to_korean, *self.to_english):
            if prompt.count("{source}") != 1:
                raise ValueError(f"prompt {prompt!r} must hold {{source}} exactly once")
        return self


class MultipleChoice(_Task):
    """Likelihoods of given choices; `{question}` in the prompts stands for a row's question."""

    measure_kind: Literal["multiple_choice"]
    prompts: tuple[str, ...] = Field(("{question}",), min_length=1, max_length=3)

    measures: ClassVar[tuple[str, ...]] = ("p_gold", "accuracy", "margin", "brier", "acc")


class Rating(_Task):
    """How alike two sentences are, in the order of people's ratings (KorSTS, KLUE-STS).

    Attributes:
        prompts: `{first}` and `{second}` stand for the sentences, in this order.
        ratings: what a model may answer, the lowest first.
    """

    measure_kind: Literal["rating"]
    prompts: tuple[str, ...] = Field(
        (
            "두 문장의 뜻이 얼마나 비슷한지 0(전혀 다름)에서 5(같음) 사이의 점수로 답하세요.\n"
            "문장 1: {first}\n문장 2: {second}",
        ),
        min_length=1,
        max_length=3,
    )
    ratings: tuple[str, ...] = Field(("0", "1", "2", "3", "4", "5"), min_length=2)

    measures: ClassVar[tuple[str, ...]] = ("spearman",)

    @model_validator(mode="after")
    def _prompts_hold_both_sentences(self) -> Self:
        for prompt in self.prompts:
            if re.findall(r"\{(first|second)\}", prompt) != ["first", "second"]:
                raise ValueError(f"prompt {prompt!r} must hold {{first}} and then {{second}}, once")
        return self


class Generation(_Task):
    """Greedy answers, judged by their language and by faults that make fluent text worthless."""

    measure_kind: Literal["generation"]
    max_new_tokens: int = Field(48, gt=0)

    measures: ClassVar[tuple[str, ...]] = Fidelity._fields


class Harness(_Task):
    """A task of lm-eval, by its name; with several names they are paraphrases of one another.

    A name may stand for a group of lm-eval, whose tasks are then measured together.

    Attributes:
        data: where the task's data lie; lm-eval fetches what its own file names if not given.
        tasks: names of lm-eval tasks: the project's own, lm-eval's, or those in `include`.
        include: uri of a folder (or YAML file) with task files of the user's own.
        definition: hash of the project's task files and of lm-eval's version; it is filled in.
        files: the file of each split, a uri or a pattern within `data`, for data that are no data
            set of the hub.
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
        return (*(uri for uri in (self.data, self.include) if uri), *_uris(self.files))

    def resolved(self, resolve: Callable[[str], Path]) -> Self:
        """The same task with every uri replaced by the local path that `resolve` gives."""
        places = {"data": self.data, "include": self.include}
        found = {name: str(resolve(uri)) for name, uri in places.items() if uri}
        return self.model_copy(update={**found, "files": _placed(self.name, self.files, resolve)})


class Translation(_Pairs):
    """Greedy translations in both directions, judged by chrF++; `{source}` is the sentence."""

    measure_kind: Literal["translation"]
    to_korean: str = "다음 문장을 한국어로 번역하세요.\n{source}"
    to_english: str = "다음 문장을 영어로 번역하세요.\n{source}"
    max_new_tokens: int = Field(192, gt=0)

    measures: ClassVar[tuple[str, ...]] = ("chrf_en_ko", "chrf_ko_en")


class Induction(_Task):
    """Learning within the context: words of no meaning, which no training can have taught.

    `copy_gain` are the bits per byte that the first occurrence of a list saves on its repetition;
    `recall` is the probability of the right one of `pairs` answers, each of which was given once.

    Attributes:
        pairs: questions and answers in one item.
        size: items.
        seed: of the words.
        script: Hangul, or Latin letters: what a model learned of the context while it knew no
            Korean shows in these alone.
    """

    measure_kind: Literal["induction"]
    data: str = ""
    pairs: int = Field(6, ge=2, le=20)
    size: int = Field(60, gt=0)
    seed: int = 0
    script: Literal["hangul", "latin"] = "hangul"

    measures: ClassVar[tuple[str, ...]] = ("copy_gain", "recall")


class ContextGain(_Task):
    """Bits per byte that the first half of a text saves on its second, against another text's half.

    What a model has of its context at all; it shows in models that are too small for `induction`.
    """

    measure_kind: Literal["context_gain"]

    measures: ClassVar[tuple[str, ...]] = ("context_gain",)


class Part(BaseModel):
    """One score in a mean: 0 points at `chance`, 100 at `best`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    chance: float = 0
    best: float = 1
    weight: float = Field(1, gt=0)


class Mean(_Task):
    """The mean of other tasks' scores, each on a scale from chance (0) to perfect (100)."""

    measure_kind: Literal["mean"]
    data: str = ""
    parts: tuple[Part, ...] = Field(min_length=1)

    measures: ClassVar[tuple[str, ...]] = ("points",)
