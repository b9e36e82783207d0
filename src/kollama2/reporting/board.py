"""The shapes of a leaderboard and its JSON, which are the same bytes for the same records."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kollama2.errors import Corrupt
from kollama2.records.read import Number, of_newer


@dataclass(frozen=True)
class Estimate:
    """A value and the ends of its 95 % interval."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Versus:
    """A paired difference (this recipe minus another one) in the measure's unit.

    Attributes:
        gain: the same, in the direction that is better: per cent of the other's bits that are
            saved for bits per byte, else the difference with the sign that makes more better.
        p_adjusted: p-value that keeps the error of all differences of its family on the measure.
        mde: smallest true `gain` that would be found with a probability of 80 %, so adjusted; NaN
            where nothing is ranked, or the two are equal on every item.
    """

    difference: Estimate
    gain: Estimate
    p_adjusted: Number
    mde: Number
    separable: bool


@dataclass(frozen=True)
class Place:
    """A recipe's place on the primary measure; no tier, chance or ranks if nothing is ranked."""

    score: Estimate
    tier: str
    p_best: float | None
    ranks: tuple[int, int] | None
    seeds: tuple[Number, ...]
    versus_base: Versus | None
    versus_leader: Versus | None


@dataclass(frozen=True)
class English:
    """The constraint axis: `change` in per cent of the base's bits, positive is worse."""

    score: Number
    change: Estimate | None
    flag: bool


@dataclass(frozen=True)
class Score:
    """A recipe on one measure.

    `difference` is recipe minus base; `guessed` whether the interval of the score holds what
    guessing gives, so that the score says nothing.
    """

    score: Number
    difference: Estimate | None
    guessed: bool


@dataclass(frozen=True)
class Cost:
    """What a recipe costs on any machine: sums over its path, mean over its seeds."""

    flops: float | None
    korean_bytes: float | None
    bytes: float | None
    tokens: float | None
    trainable_parameters: float | None


@dataclass(frozen=True)
class Seen:
    """How much of the suite stands in a recipe's training data, and what that is worth.

    Attributes:
        flagged: items that were seen, by task, of those that are long enough to judge.
        judged: those by task.
        clean: the primary score without the flagged items; None where nothing else is left.
        difference: `clean` minus the primary score over all items.
    """

    flagged: dict[str, int]
    judged: dict[str, int]
    clean: float | None
    difference: float | None


@dataclass(frozen=True)
class Trust:
    """What a row's figures rest on; the counts are sums over the trainings of the recipe.

    Attributes:
        suites: the id of each suite that measured it: data, prompts and scorer.
        items: items that were asked.
        truncated: items that did not fit the model and have no score.
        unscorable: items without a score since the tokenizer makes no token of a text of theirs.
        empty: answers without any visible character; they are failures and have scores.
        failed: empty answers, and those with broken characters or that never came.
        flags: what looks wrong by task, such as a model that gives one class only.
        prompts: by measure the lowest and highest score among paraphrased prompts, where a task
            has several; means over trainings.
        seen: None where it was not trained here, or its data were not looked through.
        checked: whether its training data, if any, were looked through.
    """

    suites: dict[str, list[str]]
    items: int
    truncated: int
    unscorable: int
    empty: int
    failed: int
    flags: dict[str, list[str]]
    prompts: dict[str, tuple[Number, Number]]
    seen: Seen | None
    checked: bool


@dataclass(frozen=True)
class BoardRow:
    """One recipe with its seeds pooled; `standing` is None where nothing was computed."""

    recipe: str
    base: bool
    options: dict[str, str]
    seeds: list[int]
    missing: list[str]
    standing: Place | None
    score: float | None
    english: English | None
    measures: dict[str, Score]
    cost: Cost
    frontier: bool
    trust: Trust


@dataclass(frozen=True)
class Strength:
    """A recipe's strength by blind comparison, in Elo points above the base, and its counts."""

    elo: Estimate
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Panel:
    """One source of preferences: people where `judge` is None, else a judge model.

    `steady` is how often the judge kept its mind when the order changed, `agreement` how often it
    agrees with people on the `agreed_on` pairs that both decided.
    """

    judge: str | None
    recipes: dict[str, Strength]
    comparisons: int
    items: int
    voters: int = 0
    gated: int = 0
    unreadable: int = 0
    steady: float | None = None
    agreement: float | None = None
    agreed_on: int = 0


@dataclass(frozen=True)
class Leaderboard:
    """A study's result: the best first, the base among them, what is not computed last.

    `ranked` is false where no verdict is given: one training of each recipe, or too few items.
    `recommended` is the recipe to take, the most promising one where nothing is ranked.
    """

    study: str
    kollama2: str
    primary: str
    primary_in_bits: bool
    english: str | None
    english_limit: Number
    seeds: list[int]
    uncertainty: str
    ranked: bool
    items: int
    clusters: int
    dropped: int
    resamples: int
    rows: list[BoardRow]
    measures: dict[str, str]
    suites: dict[str, Any]
    preferences: list[Panel]
    headline: dict[str, list[str]]
    warnings: dict[str, list[str]]
    recommended: str | None = None

    def to_json(self) -> str:
        """Sorted keys, six significant digits, no times and nothing of a machine."""
        value = _plain(dataclasses.asdict(self))
        return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> "Leaderboard":
        """What `to_json` wrote; a number that was not finite comes back as NaN.

        Raises:
            Corrupt, Missing: the text is no leaderboard; a newer kollama2 wrote it.
        """
        try:
            return _reader().validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            told = re.search(r'"kollama2": "([\d.]+)', text)
            writer = told and told[1]
            raise of_newer("the leaderboard", writer, f"is none: {where}") or Corrupt(
                f"no leaderboard: {where}: {first['msg']}; run the study again"
            ) from error


@cache
def _reader() -> TypeAdapter[Leaderboard]:
    return TypeAdapter(Leaderboard)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") + 0.0 if math.isfinite(value) else None
    return value
