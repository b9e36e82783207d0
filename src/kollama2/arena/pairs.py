"""Pairs of answers to the same prompt, and which of them to show next."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from kollama2.errors import BadUsage
from kollama2.records.read import Json
from kollama2.reporting.preferences import VOTES, choice_of
from kollama2.reporting.study import Sample, Study, samples

Prompt = tuple[str, str]  # task and item


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt; `left` and `right` are evaluations as they are shown."""

    task: str
    item: str
    left: str
    right: str

    @property
    def models(self) -> frozenset[str]:
        """The two evaluations, whatever side they stand on."""
        return frozenset((self.left, self.right))

    @property
    def key(self) -> tuple[str, str, frozenset[str]]:
        """What is compared, whatever side it stands on."""
        return (self.task, self.item, self.models)


@dataclass(frozen=True)
class Answers:
    """The answers of every recipe of a study to every prompt, each recipe with its first seed.

    Attributes:
        prompts: by task and item, the sample of any recipe, for the prompt and the reference.
        answers: by evaluation (the folder of a cell), its samples by task and item.
        recipes: the recipe of each evaluation.
    """

    prompts: Mapping[Prompt, Sample]
    answers: Mapping[str, Mapping[Prompt, Sample]] = field(repr=False)
    recipes: Mapping[str, str]

    def text(self, evaluation: str, pair: Pair) -> str:
        """What an evaluation answered to the prompt of a pair."""
        return self.answers[evaluation][pair.task, pair.item].answer

    def pairs(self, against: str | None = None) -> list[Pair]:
        """Every two answers to one prompt that differ, in the order of recipes and prompts.

        Args:
            against: only pairs with this recipe.
        """
        found = []
        for left, right in combinations(self.answers, 2):
            if against is not None and against not in (self.recipes[left], self.recipes[right]):
                continue
            for task, item in self.prompts:
                both = [self.answers[one].get((task, item)) for one in (left, right)]
                if both[0] and both[1] and both[0].answer.strip() != both[1].answer.strip():
                    found.append(Pair(task, item, left, right))
        return found


def answers(study: Study) -> Answers:
    """Reads the free answers of a study.

    Raises:
        BadUsage: fewer than two recipes have answers.
    """
    prompts: dict[Prompt, Sample] = {}
    found: dict[str, dict[Prompt, Sample]] = {}
    recipes: dict[str, str] = {}
    for recipe in study.recipes:
        for cell in study.first(recipe):
            for sample in samples(study, cell):
                key = (sample.task, sample.item)
                prompts.setdefault(key, sample)
                found.setdefault(cell.evaluate, {})[key] = sample
                recipes[cell.evaluate] = recipe
    if len(found) < 2:
        raise BadUsage(
            f"the study {study.name!r} has free answers of {len(found)} recipes, and a comparison "
            "needs two; compute it first, with a suite that has a generation task"
        )
    return Answers(prompts, found, recipes)


def votes_file(study: Study) -> Path:
    """Where the votes of a study are kept."""
    return study.store / "studies" / study.name / VOTES


class Ballot:
    """Chooses what to show: the two models least compared, the prompt least used, a random side.

    Args:
        pairs: all that may be shown.
        votes: what was voted before.
        rng: decides ties and sides.
    """

    def __init__(self, pairs: Iterable[Pair], votes: Iterable[Json], rng: random.Random) -> None:
        self._pairs = list(pairs)
        self._rng = rng
        self._by_models: Counter[frozenset[str]] = Counter()
        self._by_key: Counter[tuple[str, str, frozenset[str]]] = Counter()
        self._seen: set[tuple[str, tuple[str, str, frozenset[str]]]] = set()
        for vote in votes:
            if choice_of(vote) is not None:
                self.count(_pair(vote), str(vote.get("voter", "")))

    def __len__(self) -> int:
        return len(self._pairs)

    def count(self, pair: Pair, voter: str) -> None:
        """Take a vote into account."""
        self._by_models[pair.models] += 1
        self._by_key[pair.key] += 1
        self._seen.add((voter, pair.key))

    def left_for(self, voter: str) -> int:
        """How many pairs this voter has not judged."""
        return sum((voter, pair.key) not in self._seen for pair in self._pairs)

    def next(self, voter: str) -> Pair | None:
        """A pair that this voter has not judged; None when there is none left."""
        fresh = [pair for pair in self._pairs if (voter, pair.key) not in self._seen]
        if not fresh:
            return None
        least = min(self._by_models[pair.models] for pair in fresh)
        fresh = [pair for pair in fresh if self._by_models[pair.models] == least]
        least = min(self._by_key[pair.key] for pair in fresh)
        chosen = self._rng.choice([pair for pair in fresh if self._by_key[pair.key] == least])
        if self._rng.random() < 0.5:
            return Pair(chosen.task, chosen.item, chosen.right, chosen.left)
        return chosen


def _pair(vote: Json) -> Pair:
    return Pair(str(vote["task"]), str(vote["item"]), str(vote["left"]), str(vote["right"]))
