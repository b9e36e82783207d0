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
    """Where a model or data comes from: `builtin:`, `hf:`, `file:`, or `github:` with a commit.

    `file` names one file (or a pattern such as `data/*.json`) of a repository that holds several.
    `made:translations`, `made:bilingual-documents`, `made:switched-sentences` and
    `made:switched-words` are made from the source of aligned pairs that `pairs` names; `text` names
    the Korean text whose words are switched, and `switched` how much becomes English.
    """

    uri: str = Field(pattern=r"^(builtin|hf|file|made):.+|^github:[^/]+/[^/]+/.+")
    revision: str | None = None
    file: str | None = None
    sha256: str | None = None
    form: str | None = None
    columns: dict[str, str] = Field({})
    seed: Seed = 0
    size: PositiveInt | None = Field(None, le=10_000_000)
    pairs: str | None = None
    text: str | None = None
    switched: float = Field(0.5, ge=0, le=1)

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

    probe: tuple[PositiveFloat, ...] = Field(min_length=2)
    share: float = Field(0.25, gt=0, le=1)


class Controls(Closed):
    """Negative controls: what must tie and what must lose.

    Attributes:
        copy_of_base: a copy of the base under another name; it must tie with the base.
        random: recipes that are also trained from random weights; they must lose.
    """

    copy_of_base: bool = False
    random: tuple[str, ...] = ()


class EndpointSpec(Closed):
    """A model behind an OpenAI-compatible endpoint, which answers the generation half of a suite.

    `key` names the environment variable that holds the key; the key itself stands nowhere.
    """

    url: str = Field(pattern=r"^https?://.+")
    model: str = Field(min_length=1)
    key: str = KEY
    temperature: float | None = Field(0.0, ge=0)


class Study(Closed):
    """A matrix of recipes: axes crossed in pipeline order, minus the exclusions."""

    name: Name
    about: str = ""
    base: SourceSpec
    template: TemplateName = "own"
    sources: dict[str, SourceSpec] = Field({})
    budget: Budget = Budget()
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    axes: dict[Name, dict[Name, dict[str, Any] | Literal["none"] | None]] = Field({})
    exclude: tuple[dict[str, str], ...] = ()
    recipes: tuple[str, ...] = ()
    controls: Controls = Controls()
    endpoints: dict[Name, EndpointSpec] = Field({})
    suites: tuple[str, ...] = Field(min_length=1)

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

    base: SourceSpec
    sources: dict[str, SourceSpec] = Field({})
    steps: tuple[dict[str, Any], ...] = ()


class RecipeFile(Closed):
    """A named recipe: a path of stages with the source of every number.

    `numbers` says where the value of a field comes from; `2.lr` is that of the second step, `lr`
    that of all others. `evidence`, `when` and `cost` are the sections of its page.
    """

    name: Name
    family: Literal["sft", "cpt", "vocabulary", "merge", "preference"]
    title: str
    about: str
    base: SourceSpec
    template: TemplateName = "own"
    sources: dict[str, SourceSpec]
    steps: tuple[dict[str, Any], ...] = Field(min_length=1)
    numbers: dict[str, str]
    notes: tuple[str, ...] = ()
    evidence: str = ""
    when: str = ""
    cost: str = ""
    miniature: Twin
