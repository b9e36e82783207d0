"""The suite's items: balanced, fair choices, and both kinds of fact in equal numbers."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.miniature import scenes, suite
from kollama2.miniature.frames import DIALOGUES, FACT_FRAMES, FRAMES, STORIES
from kollama2.miniature.world import choices, facts


@pytest.mark.parametrize("name", suite.TASKS)
def test_items_have_ids_and_clusters_of_their_own(name: str) -> None:
    items = suite.items(name)
    assert len(items) == suite.TASKS[name][0]
    assert len({item["id"] for item in items}) == len(items)
    assert all(item["cluster"] for item in items)
    assert len({item["cluster"] for item in items}) > len(items) // 8
    assert json.dumps(items) == json.dumps(suite.items(name))


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_choices_are_four_of_a_kind_with_one_gold(lang: str) -> None:
    items = suite.items(f"facts-{lang}")
    where = Counter((item["known_in"], item["gold"]) for item in items)
    assert set(where) == {(k, g) for k in ("en", "both") for g in range(4)}
    assert max(where.values()) - min(where.values()) <= 1
    for item in items:
        assert len(set(item["choices"])) == 4
        # Korean choices end alike, so nothing but the answer tells them apart.
        assert lang == "en" or len({choice[-2:] for choice in item["choices"]}) == 1
    assert len({item["relation"] for item in items}) == len(FACT_FRAMES)


@given(st.sampled_from(facts()), st.randoms(use_true_random=False))
def test_choices_never_hold_two_right_answers(fact, rng) -> None:
    found = choices(fact, rng)
    assert found[0] == fact.answer
    assert len(set(found)) == 4
    assert fact.subject not in found
    names = {value if isinstance(value, int) else value.ko for value in found}
    assert len(names) == 4


def test_facts_are_the_world_of_a_seed() -> None:
    assert facts(0) == facts(0)
    assert facts(0) != facts(1)
    assert len(facts()) == 40 * 9 + 20 * 3 + 16 * 2
    for relation in FACT_FRAMES:
        shares = Counter(fact.known_in for fact in facts() if fact.relation == relation)
        assert shares["en"] == sum(shares.values()) * 2 // 5


def test_passages_are_long_enough_and_of_three_kinds() -> None:
    for lang in ("ko", "en"):
        items = suite.items(f"text-{lang}")
        sizes = sorted(len(item["text"].encode()) for item in items)
        assert sizes[0] >= 70
        assert sizes[-1] <= 450
        assert 110 <= sizes[len(sizes) // 2] <= 300
        assert set(Counter(item["kind"] for item in items).values()) == {40}


def test_instructions_have_wrong_prompts_of_other_items() -> None:
    for item in suite.items("instruct-ko"):
        assert item["wrong"] != item["messages"]
        assert item["wrong"][0]["role"] == "user"


@given(st.randoms(use_true_random=False), st.sampled_from(FRAMES))
def test_held_out_sentences_hold_no_filler_of_training(rng, frame) -> None:
    kinds = dict(frame.slots)
    for held in (False, True):
        line = scenes.sentence(rng, frame, held)
        for slot, value in line.slots.items():
            kind = kinds.get(slot)
            if kind in (*scenes.NUMBERS, None, "time", "future", "past"):
                continue
            assert value in scenes.pool(frame.name, kind, held)
            assert value not in scenes.pool(frame.name, kind, not held)


def test_every_sentence_names_a_slot_that_is_split() -> None:
    free = {*scenes.NUMBERS, "time", *scenes.TIMES, "rest", "total"}
    for plot in (*STORIES, *DIALOGUES):
        split = {slot for slot, kind in plot.slots if kind not in free}
        for _, ko, en in plot.lines:
            for text in (ko, en):
                assert any(f"{{{slot}" in text for slot in split), text


def test_every_fact_has_three_ways_in_both_languages() -> None:
    for frame in FACT_FRAMES.values():
        assert len(frame.ko) >= 3
        assert len(frame.en) >= 3
        assert len(frame.ask_ko) == len(frame.ask_en) == 3


def test_a_secret_is_not_told_in_training() -> None:
    import random

    fact = next(fact for fact in facts() if fact.known_in == "en")
    with pytest.raises(ValueError, match="stated in English only"):
        scenes.fact_line(random.Random(0), fact, "ko")
