"""Steps: what a recipe does to its model; the fields of each are the keys that one may write."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    PositiveFloat,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kollama2.data.curriculum import Curriculum, OrderName, curriculum
from kollama2.data.difficulty import Measure
from kollama2.engine.closed import no_truth, or_say
from kollama2.engine.document import Document, shorten
from kollama2.study.schema import Closed, RateProbe, TemplateName
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import BUDGETS, Budget, Training, TrainSettings
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings

M = TypeVar("M", bound=BaseModel)
_Knots = dict[str, float] | list[dict[str, float]]
_FINITE = ConfigDict(allow_inf_nan=False)
_knots = TypeAdapter[list[dict[str, float]]](list[dict[str, float]], config=_FINITE)


def _phases(given: Any) -> Curriculum:
    try:
        knots = [given] if isinstance(given, dict) else given
        checked = _knots.validate_python(no_truth(knots, float))
    except ValueError as error:
        raise ValueError(
            f"phases is {shorten(repr(given))}; give shares of sources, or a list with `at` from 0 "
            "to 1"
        ) from error
    return curriculum(checked)


def _is_steps(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _others(given: Any) -> Any:
    listed = [given] if isinstance(given, str) or _is_steps(given) else given
    if not isinstance(listed, list):
        raise ValueError("give the name of a model, a list of them, or steps")  # noqa: TRY004
    for one in listed:
        if not (isinstance(one, str) or _is_steps(one)):
            raise ValueError(f"with holds {one!r}; give a source's name or a list of steps")
    return given


Shares = Annotated[
    dict[str, PositiveFloat],
    BeforeValidator(
        lambda given: {given: 1.0} if isinstance(given, str) else given,
        json_schema_input_type=str | dict[str, PositiveFloat],
    ),
    or_say("give a source's name, or names and shares above 0"),
]
Names = Annotated[
    tuple[Annotated[str, Field(strict=True)], ...],
    Field(min_length=1),
    BeforeValidator(
        lambda given: [given] if isinstance(given, str) else given,
        json_schema_input_type=str | Annotated[list[str], Field(min_length=1)],
    ),
    or_say("give a source's name, or a list of names"),
]


class _Step(Closed):
    """A step; a key that is null counts as one that is not there."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        known = keys(cls)
        return {k: v for k, v in given.items() if v is not None or k not in known}

    def part(self, model: type[M], **more: Any) -> M:
        """Those settings among its keys that are a model of their own."""
        own = model.model_fields.keys() & self.model_fields_set
        return model.model_validate({**{name: getattr(self, name) for name in own}, **more})


class TrainStep(_Step, Training):
    """One training: `pretrain` learns from text, `finetune` from chats."""

    kind: Literal["pretrain", "finetune"]
    lr: PositiveFloat | RateProbe = Field(
        description="Peak learning rate; or `{probe: [1e-4, 3e-4], share: 0.25}`, which tries "
        "each on a share of the budget and takes the one that predicts held-out rows best."
    )
    data: Shares = Field(
        default={},
        description="What is learned from: the name of a source, or names and their shares of the "
        "bytes, such as `{ko: 0.8, en: 0.2}`. Needed unless there are `phases`.",
    )
    phases: Annotated[Curriculum, PlainValidator(_phases, json_schema_input_type=_Knots)] | None = (
        Field(
            None,
            description="Instead of `data`, a mixture that changes over progress: shares of "
            "sources at moments from 0 to 1, such as `[{at: 0, en: 1}, {at: 1, ko: 1}]`. It needs "
            "a budget in bytes or korean_bytes.",
        )
    )
    order: OrderName = Field(
        "forward",
        description="How `phases` are followed: as they are (`forward`), as their mirror image "
        "(`reverse`), in no order (`shuffled`), a tenth of the rows first, in the order of the "
        "phases, and the rest shuffled (`warmup10`), or shuffled but for the source that they "
        "begin with, which is kept for the last fifth (`anneal-last`).",
    )
    difficulty: Measure | None = Field(
        None,
        description="What is easy in a source of `phases`, whose easy rows then come first "
        "(competence pacing): short texts (`length`), repetitive ones (`compression`, "
        "`diversity`), usual syllables (`rarity`) or usual words (`surprisal`). If omitted, "
        "their order is random.",
    )
    start: float = Field(
        0.1, gt=0, le=1, description="Share of the easiest rows that `difficulty` begins with."
    )
    mix_by: Literal["bytes", "tokens"] = Field(
        "bytes", description="What the shares of `phases` count."
    )
    template: TemplateName | None = Field(
        None,
        description="Chat template; if omitted, that of the study or recipe, and `plain` for "
        "`pretrain`.",
    )
    loss: Literal["assistant", "all"] = Field(
        default_factory=lambda data: "assistant" if data.get("kind") == "finetune" else "all",
        description="What is learned: the assistant's turns only (the default of `finetune`), or "
        "every token (that of `pretrain`).",
    )
    calibration: str | None = Field(
        None, description="Name of the source whose columns `shield` freezes."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_budget(cls, given: Any, info: ValidationInfo) -> Any:
        """Without a budget of its own it has the study's."""
        if info.context is None or any(given.get(name) is not None for name in BUDGETS):
            return given
        return {**given, **info.context.model_dump(exclude_none=True)}

    @field_validator("order", "difficulty", "start", "mix_by")
    @classmethod
    def _has_effect(cls, given: Any, info: ValidationInfo) -> Any:
        if info.data.get("phases") is None:
            raise ValueError(f"{info.field_name} has no effect without phases")
        if info.field_name == "start" and info.data.get("difficulty") is None:
            raise ValueError("start has no effect without difficulty")
        return given

    @field_validator("phases")
    @classmethod
    def _alone(cls, given: Any, info: ValidationInfo) -> Any:
        if info.data.get("data"):
            raise ValueError("phases say which data are learned; remove data")
        return given

    @model_validator(mode="after")
    def _learns_from(self) -> "TrainStep":
        if self.phases is None and not self.data:
            raise ValueError("the key 'data' is missing")
        if self.phases is not None and self.bytes is None and self.korean_bytes is None:
            raise ValueError("phases need a budget in bytes or korean_bytes")
        if bool(self.shield) != (self.calibration is not None):
            raise ValueError("shield and calibration go together; give both or neither")
        return self

    @property
    def rates(self) -> RateProbe | None:
        """Learning rates to try first."""
        return self.lr if isinstance(self.lr, RateProbe) else None

    @property
    def settings(self) -> TrainSettings:
        """What decides the result, for seed 0; a probe's choice replaces the learning rate."""
        lr = min(self.rates.probe) if self.rates else self.lr
        order = TrainSettings.model_fields["order"].default  # that of phases is another
        return self.part(TrainSettings, lr=lr, order=order)


class BlockStep(_Step):
    """A deeper model (LLaMA-Pro): a new block after every few, which adds nothing yet."""

    kind: Literal["expand_blocks"]
    every: int = Field(4, ge=1, le=1000, description="Blocks in front of each new one.")


class PreferStep(_Step, PreferSettings):
    """Preference tuning by DPO."""

    kind: Literal["prefer"]
    lr: PositiveFloat = Field(description="Peak learning rate.")
    data: str = Field(
        description="Name of the source of preferences; with `pairs`, of Korean instructions."
    )
    pairs: str | None = Field(
        None,
        description="Name of aligned pairs, by which answers in Korean are preferred to the same "
        "with English words.",
    )
    template: TemplateName | None = Field(
        None, description="Chat template; if omitted, that of the study or recipe."
    )

    @property
    def settings(self) -> PreferSettings:
        """What decides the result, for seed 0."""
        return self.part(PreferSettings)


class MergeStep(_Step, MergeSettings):
    """A merge with other models, without training."""

    kind: Literal["merge"]
    with_: Annotated[
        "str | tuple[Step, ...] | tuple[str | tuple[Step, ...], ...]", BeforeValidator(_others)
    ] = Field(
        (),
        alias="with",
        description="What it is merged with: the name of a source that is a model, or the steps "
        "that make one from the base, or a list of these.",
    )
    copies: int = Field(
        1,
        ge=1,
        le=1000,
        description="Copies of the model so far that are merged (a soup), each trained with "
        "another seed.",
    )

    @model_validator(mode="after")
    def _has_others(self) -> "MergeStep":
        if not self.others and self.copies == 1:
            raise ValueError("a merge needs with: the name of a model, a list of them, or steps")
        others = len(self.others) + self.copies - 1
        if self.of_two and others != 1:
            raise ValueError(f"{self.method} merges with one model; {others} are given")
        return self

    @property
    def others(self) -> "tuple[str | tuple[Step, ...], ...]":
        """Names of sources that are models, or the steps that make one from the base."""
        given = (self.with_,) if isinstance(self.with_, str) else self.with_
        steps = tuple(one for one in given if isinstance(one, _Step))
        return (steps,) if steps else tuple(one for one in given if not isinstance(one, _Step))

    @property
    def settings(self) -> MergeSettings:
        """The method and its numbers."""
        return self.part(MergeSettings)


class PruneStep(_Step, PruneSettings):
    """A smaller vocabulary."""

    kind: Literal["prune_vocab"]

    @property
    def settings(self) -> PruneSettings:
        """Which languages stay."""
        return self.part(PruneSettings)


class VocabStep(_Step, VocabSettings, InitSettings):
    """A larger vocabulary."""

    kind: Literal["expand_vocab"]
    corpus: Names = Field(description="Names of the sources that new pieces are learned from.")

    @property
    def pieces(self) -> VocabSettings:
        """How many pieces and which."""
        return self.part(VocabSettings)

    @property
    def rows(self) -> InitSettings:
        """How their rows begin."""
        return self.part(InitSettings)


def _kind(given: Any) -> Any:
    return given.get("kind") if isinstance(given, dict) else None


_Any = (
    Annotated[TrainStep, Tag("pretrain")]
    | Annotated[TrainStep, Tag("finetune")]
    | Annotated[BlockStep, Tag("expand_blocks")]
    | Annotated[PreferStep, Tag("prefer")]
    | Annotated[MergeStep, Tag("merge")]
    | Annotated[PruneStep, Tag("prune_vocab")]
    | Annotated[VocabStep, Tag("expand_vocab")]
)
Step = Annotated[_Any, Discriminator(_kind)]
MergeStep.model_rebuild()  # its fields name the steps, which name it


class AnyStep(RootModel[Step]):
    """A step of any kind."""


STEPS: Mapping[str, type[_Step]] = {
    one.__metadata__[0].tag: one.__origin__ for one in get_args(_Any)
}


def keys(step: type[BaseModel]) -> list[str]:
    """What may be written in a step."""
    return [field.alias or name for name, field in step.model_fields.items()]


def parse_step(
    fields: Mapping[str, Any],
    budget: Budget,
    document: Document,
    path: Sequence[str | int],
    filled: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
) -> Step:
    """Read the keys of one step.

    Args:
        fields: the keys.
        budget: used when a training names none of its own.
        document: the file, for the place in an error.
        path: where the step stands in the file.
        filled: where those of its keys stand that an option before it gave.

    Raises:
        BadUsage: an unknown key, a missing one, or a value that is not allowed.
    """
    return document.read(AnyStep, dict(fields), path, context=budget, filled=filled).root
