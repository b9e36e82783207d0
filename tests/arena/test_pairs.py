"""Which pairs there are, and which is shown next."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from kollama2.arena.pairs import Ballot, Pair, answers
from kollama2.errors import BadUsage
from kollama2.reporting.study import load
from tests.reporting import fake


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake.write(tmp_path_factory.mktemp("store"), seeds=(0, 1), items=4)


def test_pairs_are_of_different_answers_of_first_seeds(store: Path) -> None:
    found = answers(load(store, "quick"))
    assert sorted(found.recipes.values()) == sorted(recipe.name for recipe in fake.RECIPES)
    pairs = found.pairs()
    # The base and its copy say the same: 15 - 1 pairs of models for each of five prompts.
    assert len(pairs) == 14 * 5
    named = {frozenset(map(found.recipes.get, pair.models)) for pair in pairs}
    assert frozenset(("base", "base-copy")) not in named
    assert len(found.pairs("alpaca-full")) == 5 * 5


def test_what_is_checked_needs_no_judge(tmp_path: Path) -> None:
    store = fake.write(tmp_path, seeds=(0,), items=4)
    before = set(answers(load(store, "quick")).prompts)
    for path in store.glob("*/samples.jsonl"):
        line = {"task": "t", "item": "1", "prompt": "?", "answer": path.parent.name}
        checked = ({"choices": ["A"]}, {"extracted": "12"}, {"broken": []})
        more = "".join(json.dumps({**line, **extra}) + "\n" for extra in checked)
        fake.rewrite(path, path.read_text() + more)
    assert set(answers(load(store, "quick")).prompts) == before


def test_every_pair_once_and_evenly(store: Path) -> None:
    pairs = answers(load(store, "quick")).pairs()
    ballot = Ballot(pairs, [], random.Random(0))
    seen: Counter[frozenset[str]] = Counter()
    left = 0
    for number in range(len(pairs)):
        assert ballot.left_for("me") == len(pairs) - number
        pair = ballot.next("me")
        assert pair is not None
        ballot.count(pair, "me")
        seen[pair.models] += 1
        left += pair.left == min(pair.models)
        assert max(seen.values()) - min(seen[one.models] for one in pairs) <= 1
    assert ballot.next("me") is None
    assert ballot.next("you") is not None
    assert 0.3 < left / len(pairs) < 0.7  # sides are random


def test_old_votes_count(store: Path) -> None:
    pairs = answers(load(store, "quick")).pairs()
    vote = {
        "task": pairs[0].task, "item": pairs[0].item, "left": pairs[0].right,
        "right": pairs[0].left, "choice": "tie", "voter": "me",
    }  # fmt: skip
    ballot = Ballot(pairs, [vote, {"choice": "left"}], random.Random(0))
    assert ballot.left_for("me") == len(pairs) - 1
    for _ in range(len(pairs) - 1):
        pair = ballot.next("me")
        assert pair is not None
        assert pair.key != pairs[0].key
        ballot.count(pair, "me")
    assert ballot.next("me") is None


def test_a_pair_is_the_same_on_both_sides() -> None:
    assert Pair("t", "1", "a", "b").key == Pair("t", "1", "b", "a").key


def test_one_recipe_cannot_be_compared(tmp_path: Path) -> None:
    fake.write(tmp_path, recipes=fake.RECIPES[:1], seeds=(0,))
    with pytest.raises(BadUsage, match="free answers of 1 recipes, and a comparison needs two"):
        answers(load(tmp_path, "quick"))
