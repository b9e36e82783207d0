"""Particles after Korean and English words, and text between two languages."""

import re

import pytest

from kollama2.data import josa
from kollama2.data.codeswitch import (
    bilingual_documents,
    dictionary,
    switched_sentences,
    switched_words,
    translations,
)

PAIRS = [(f"The fox {n} sees a cat.", f"여우 {n}이 고양이를 봅니다.") for n in range(40)]


@pytest.mark.parametrize(
    ("word", "particle", "whole"),
    [
        ("고양이", "은", "고양이는"), ("집", "는", "집은"), ("물", "으로", "물로"),
        ("집", "로", "집으로"), ("서울", "로부터", "서울로부터"), ("책", "와", "책과"),
        ("cat", "가", "cat이"), ("apple", "를", "apple을"), ("table", "는", "table은"),
        ("dog", "이", "dog가"), ("milk", "을", "milk를"), ("house", "이", "house가"),
        ("time", "가", "time이"), ("phone", "를", "phone을"), ("cake", "을", "cake를"),
        ("school", "으로", "school로"), ("train", "로", "train으로"), ("boat", "을", "boat를"),
        ("book", "를", "book을"), ("back", "가", "back이"), ("king", "가", "king이"),
        ("test", "을", "test를"), ("cup", "는", "cup은"), ("tree", "을", "tree를"),
        ("red apple", "는", "red apple은"), ("FM", "가", "FM이"), ("3", "가", "3이"),
        ("2", "은", "2는"), ("cat", "에서", "cat에서"), ("cat", "", "cat"),
    ],
)  # fmt: skip
def test_the_particle_follows_the_last_sound(word: str, particle: str, whole: str) -> None:
    assert josa.attach(word, particle) == whole


def test_a_sign_has_no_reading() -> None:
    with pytest.raises(ValueError, match="no reading"):
        josa.attach("?!", "는")


def test_eojeol_are_read_with_the_longest_particle_first() -> None:
    assert josa.split("학교에서는")[0] == ("학교", "에서는")
    assert ("학교에서", "는") in josa.split("학교에서는")
    assert josa.split("나")[-1] == ("나", "")


def test_switched_words_keep_a_right_particle() -> None:
    words = {"고양이": "cat", "사과": "apple", "집": "house"}
    texts = ["고양이가 사과를 먹었습니다.", "집은 넓다. 집으로 갑시다!", "비가 옵니다."]
    assert list(switched_words(texts, words, share=1)) == [
        "cat이 apple을 먹었습니다.",
        "house는 넓다. house로 갑시다!",
    ]
    one = list(switched_words(texts[:1], words, share=0))
    assert one in (["cat이 사과를 먹었습니다."], ["고양이가 apple을 먹었습니다."])


def test_translations_go_both_ways_equally_and_lose_nothing() -> None:
    made = list(translations(PAIRS, seed=1))
    assert len(made) == len(PAIRS)
    to_korean = [text for text in made if re.search("[가-힣]", text.split(" = ")[-1][-12:])]
    assert len(to_korean) == len(PAIRS) / 2
    assert all(e in t and k in t for (e, k), t in zip(PAIRS, made, strict=True))
    assert made == list(translations(PAIRS, seed=1)) != list(translations(PAIRS, seed=2))


def test_documents_hold_whole_runs_in_both_orders() -> None:
    made = list(bilingual_documents(PAIRS, size=8))
    assert len(made) == 5
    assert [bool(re.match("[가-힣]", text)) for text in made] == [False, True, False, True, False]
    assert all(text.count("\n\n") == 1 for text in made)
    mixed = list(switched_sentences(PAIRS, 0.5))
    assert len(mixed) == 5
    assert 10 < sum(text.count("The fox") for text in mixed) < 30


def test_a_dictionary_from_words_and_from_sentences() -> None:
    words = [("a pear", "배"), ("The garden.", "정원"), ("an old town", "오래된 마을")]
    sentences = [
        ("Mira reads in the garden.", "미라는 정원에서 읽는다."),
        ("Mira sold the boat.", "미라가 보트를 팔았다."),
        ("The boat is red.", "그 보트는 빨갛다."),
        ("Mira likes the boat.", "미라는 보트를 좋아한다."),
    ]
    found = dictionary([*words, *sentences], times=3)
    assert found == {"배": "pear", "정원": "garden", "미라": "Mira", "보트": "boat"}
