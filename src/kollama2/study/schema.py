"""What a study and a named recipe may say. Every key is here; any other key is an error."""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from kollama2.engine.closed import Closed as Closed
from kollama2.evaluation.endpoint import KEY
from kollama2.model.templates import check_template
from kollama2.stages.derive import Made
from kollama2.train.settings import Budget

MADE: tuple[Made, ...] = get_args(Made)
TemplateName = Annotated[str, AfterValidator(check_template)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class SourceSpec(Closed):
    """Where a model or data comes from."""

    uri: str = Field(
        pattern=r"^(builtin|hf|file|made):.+|^github:[^/]+/[^/]+/.+",
        description="`builtin:`, `hf:owner/name`, `file:path`, or `github:owner/name/file` with a "
        "commit; or what is made of aligned pairs: `made:translations`, "
        "`made:bilingual-documents`, `made:switched-sentences` or `made:switched-words`.",
    )
    revision: str | None = Field(
        None, description="Commit of a repository; of one on the hub, the newest if omitted."
    )
    file: str | None = Field(
        None,
        description="One file, or a pattern such as `data/*.json`, of a repository that holds "
        "several.",
    )
    sha256: str | None = Field(None, description="Hash that the content must have.")
    form: str | None = Field(
        None, description="Form of the rows, such as `alpaca`; found from the rows if omitted."
    )
    columns: dict[str, str] = Field(
        {}, description="Which column plays which role, such as `{instruction: ask}`."
    )
    seed: Seed = Field(0, description="Seed of what is generated or made.")
    size: PositiveInt | None = Field(None, le=10_000_000, description="Rows of a built-in corpus.")
    pairs: str | None = Field(
        None, description="Name of the source of aligned pairs that `made:` data are made from."
    )
    text: str | None = Field(
        None, description="Name of the Korean text whose words `made:switched-words` switches."
    )
    switched: float = Field(
        0.5, ge=0, le=1, description="Share of the sentences or words that become English."
    )

    @model_validator(mode="after")
    def _made_of_pairs(self) -> "SourceSpec":
        made = self.uri.removeprefix("made:")
        if made == self.uri and (self.pairs or self.text):
            raise ValueError(f"{self.uri} is not made of pairs; remove pairs and text")
        if made != self.uri and not self.pairs:
            raise ValueError(f"{self.uri} needs pairs: the name of a source of aligned pairs")
        if made != self.uri and made not in MADE:
            raise ValueError(f"nothing is called {self.uri}; it makes {', '.join(MADE)}")
        return self


class RateProbe(Closed):
    """Learning rates to try before training, each on a share of the budget."""

    probe: tuple[PositiveFloat, ...] = Field(
        min_length=2, description="The learning rates to try, two or more."
    )
    share: float = Field(
        0.25, gt=0, le=1, description="Share of the budget that each of them is trained on."
    )


class Controls(Closed):
    """Negative controls: what must tie and what must lose."""

    copy_of_base: bool = Field(
        False, description="A copy of the base under another name; it must tie with the base."
    )
    random: tuple[str, ...] = Field(
        (), description="Recipes that are also trained from random weights; they must lose."
    )


class EndpointSpec(Closed):
    """A model behind an OpenAI-compatible endpoint, which answers what a suite asks in chat."""

    url: str = Field(pattern=r"^https?://.+", description="The address up to `/v1`.")
    model: str = Field(min_length=1, description="What the endpoint calls the model.")
    key: str = Field(
        KEY,
        description="The environment variable that holds the key; the key itself stands nowhere.",
    )
    temperature: float | None = Field(
        0.0, ge=0, description="Sampling temperature; null leaves it to the endpoint."
    )


class Study(Closed):
    """A matrix of recipes: axes crossed in pipeline order, minus the exclusions."""

    name: Name = Field(description="Name of the study in its store.")
    about: str = Field("", description="What it asks, for the report.")
    base: SourceSpec = Field(description="The model that every recipe begins with.")
    template: TemplateName = Field(
        "own", description="Chat template; `own` is the one that the base was taught."
    )
    sources: dict[str, SourceSpec] = Field({}, description="Data and models by name.")
    budget: Budget = Field(
        Budget(),
        description="How much every `pretrain` and `finetune` learns from that says nothing of its "
        "own.",
    )
    seeds: tuple[Seed, ...] = Field(
        (0,), min_length=1, description="Seeds with which every recipe is trained."
    )
    axes: dict[Name, dict[Name, dict[str, Any] | Literal["none"] | None]] = Field(
        {},
        description="Axes and their options, crossed with each other in this order. An option with "
        "a `kind` is a step; one without fills keys of the steps after it; `none` leaves its axis "
        "out.",
    )
    exclude: tuple[dict[str, str], ...] = Field(
        (), description="Combinations to leave out, such as `{data: alpaca, method: full}`."
    )
    recipes: tuple[str, ...] = Field((), description="Named recipes to compare too.")
    controls: Controls = Field(Controls(), description="What must tie and what must lose.")
    endpoints: dict[Name, EndpointSpec] = Field(
        {}, description="Models behind an API to compare with."
    )
    suites: tuple[str, ...] = Field(
        min_length=1, description="Names or files of the suites that every model is measured on."
    )

    @field_validator("seeds", "recipes", "suites")
    @classmethod
    def _each_once(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        seen = set[Any]()
        for one in given:
            if one in seen:
                raise ValueError(f"{one!r} is given twice, which would count one result as two")
            seen.add(one)
        return given


class Twin(Closed):
    """What differs when a named recipe runs at the size of the miniature."""

    base: SourceSpec = Field(description="The base of this size.")
    sources: dict[str, SourceSpec] = Field(
        {}, description="Sources instead of those of the same name."
    )
    steps: tuple[dict[str, Any], ...] = Field(
        (), description="Keys that replace those of each step; null takes one away."
    )


class RecipeFile(Closed):
    """A named recipe: a path of stages with the source of every number."""

    name: Name = Field(description="Name of the recipe and of its file.")
    family: Literal["sft", "cpt", "vocabulary", "merge", "preference"] = Field(
        description="What it is at heart."
    )
    title: str = Field(description="What it is, in one line.")
    about: str = Field(description="What it does, and where that comes from.")
    base: SourceSpec = Field(description="The model that it was published for.")
    template: TemplateName = Field(
        "own", description="Chat template; `own` is the one that the base was taught."
    )
    sources: dict[str, SourceSpec] = Field(description="Data and models by name.")
    steps: tuple[dict[str, Any], ...] = Field(
        min_length=1, description="What is done to the base, one after another."
    )
    numbers: dict[str, str] = Field(
        description="Where the value of a field comes from; `2.lr` is that of the second step, "
        "`lr` that of all others."
    )
    notes: tuple[str, ...] = Field((), description="What differs from what was published.")
    evidence: str = Field("", description="Section of its page: what is known of its effect.")
    when: str = Field("", description="Section of its page: when to use it.")
    cost: str = Field("", description="Section of its page: what it costs at 7B.")
    miniature: Twin = Field(description="The numbers that replace these at the smallest size.")
