"""English grammar against forms written by hand."""

import pytest

from kollama2.miniature import english


@pytest.mark.parametrize(
    ("word", "phrase"),
    [("apple", "an apple"), ("cat", "a cat"), ("hour", "an hour"), ("uniform", "a uniform"),
     ("orange hat", "an orange hat"), ("honest person", "an honest person")],
)  # fmt: skip
def test_article(word: str, phrase: str) -> None:
    assert english.article(word) == phrase


@pytest.mark.parametrize(
    ("one", "many"),
    [("cat", "cats"), ("box", "boxes"), ("strawberry", "strawberries"), ("key", "keys"),
     ("watch", "watches"), ("sheep", "sheep"), ("knife", "knives"), ("comic book", "comic books"),
     ("rice cake", "rice cakes"), ("fish", "fish"), ("peach", "peaches")],
)  # fmt: skip
def test_plural(one: str, many: str) -> None:
    assert english.plural(one) == many


@pytest.mark.parametrize(
    ("verb", "third", "past"),
    [
        ("go", "goes", "went"),
        ("carry", "carries", "carried"),
        ("watch", "watches", "watched"),
        ("have", "has", "had"),
        ("be", "is", "was"),
        ("stop", "stops", "stopped"),
        ("get up", "gets up", "got up"),
        ("make", "makes", "made"),
        ("see", "sees", "saw"),
        ("play", "plays", "played"),
    ],
)
def test_verbs(verb: str, third: str, past: str) -> None:
    assert english.third(verb) == third
    assert english.past(verb) == past


def test_inflection_by_tense_and_negation() -> None:
    tenses = ("present", "past", "future")
    assert [english.inflect("eat", t) for t in tenses] == ["eats", "ate", "will eat"]
    assert [english.inflect("eat", t, negative=True) for t in tenses] == [
        "does not eat", "did not eat", "will not eat",
    ]  # fmt: skip
    assert [english.inflect("be able", t) for t in tenses] == [
        "is able", "was able", "will be able",
    ]  # fmt: skip
    assert english.inflect("be", "past", negative=True) == "was not"
    assert english.inflect("are", "past") == "were"


def test_numbers() -> None:
    assert [english.number(n) for n in (0, 7, 13, 20, 42, 99)] == [
        "zero", "seven", "thirteen", "twenty", "forty-two", "ninety-nine",
    ]  # fmt: skip
    assert english.number(100) == "100"
    assert english.number(7, digits=True) == "7"
