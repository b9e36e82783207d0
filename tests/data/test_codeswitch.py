"""Text between two languages."""

import re

from kollama2.data.codeswitch import (
    bilingual_documents,
    dictionary,
    switched_sentences,
    switched_words,
    translations,
)

PAIRS = [(f"The fox {n} sees a cat.", f"여우 {n}이 고양이를 봅니다.") for n in range(40)]


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
    made = list(bilingual_documents(PAIRS))
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
    found = dictionary([*words, *sentences])
    assert found == {"배": "pear", "정원": "garden", "미라": "Mira", "보트": "boat"}
