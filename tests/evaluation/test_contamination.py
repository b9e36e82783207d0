"""Which items stand in training text: to the n-gram."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kollama2.evaluation import contamination as module
from kollama2.evaluation.contamination import contamination, item_texts, squeezed

TEXT = (
    "여우는 추운 겨울밤에도 숲속길을 조용히 걸어 다니며 먹이를 찾았고, 새벽이 되어서야 "
    "굴로 돌아와 새끼들 곁에서 잠이 들었다."
)
ENGLISH = "The old fox walked through the silent forest all night and came home at dawn to sleep."


def one(row: dict[str, Any], *documents: str) -> module.Item:
    return contamination({"task": [{"id": "x", **row}]}, documents).items[0]


def test_a_copy_is_found_whatever_stands_between_its_letters() -> None:
    assert len(squeezed(TEXT)) == 51
    found = one(
        {"text": TEXT}, "앞의 글. " + TEXT.replace(" ", "\n").replace(",", " – ") + " 뒤의 글."
    )
    assert (found.grams, found.found, found.flagged) == (32, 32, True)


def test_decomposed_hangul_is_the_same_text() -> None:
    import unicodedata

    assert one({"text": TEXT}, unicodedata.normalize("NFD", TEXT)).share == 1


def test_half_is_not_flagged_and_more_than_half_is() -> None:
    letters = squeezed(TEXT)
    half = one({"text": TEXT}, letters[: 16 + 19])
    more = one({"text": TEXT}, letters[: 17 + 19])
    assert (half.found, half.flagged) == (16, False)
    assert (more.found, more.flagged) == (17, True)


def test_two_documents_are_not_one() -> None:
    letters = squeezed(TEXT)
    assert one({"text": TEXT}, letters[:30], letters[30:]).found == 11 + 2


def test_english_needs_fifty_letters_in_a_row() -> None:
    letters = squeezed(ENGLISH)
    assert one({"text": ENGLISH}, ENGLISH.upper()).share == 1
    assert one({"text": ENGLISH}, letters[:49]).found == 0
    assert one({"text": ENGLISH}, letters[:50]).found == 1


def test_a_question_counts_with_its_answer_as_a_chat_has_them() -> None:
    row = {"question": "여우는 어디에서 삽니까?", "choices": ["숲", "바다"], "gold": 0}
    assert item_texts(row) == ["여우는 어디에서 삽니까? 숲"]
    assert one(row, "여우는 어디에서 삽니까?\n숲").share == 1
    assert one(row, "여우는 어디에서 삽니까?\n바다").share == 0


def test_a_pair_counts_with_both_sides() -> None:
    pair = one({"en": ENGLISH, "ko": TEXT}, TEXT)
    assert pair.grams == 32 + (len(squeezed(ENGLISH)) - 49)
    assert pair.found == 32


def test_an_item_too_short_to_tell_is_not_judged() -> None:
    found = contamination({"t": [{"id": "1", "text": "짧은 글"}]}, ["짧은 글"])
    assert found.counts() == {"t": {"items": 1, "judged": 0, "flagged": 0}}


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_it_finds_what_python_finds(seed: int, chunk: int) -> None:
    rng = random.Random(seed)
    letters = "가나다"  # few letters, so that n-grams do occur by chance

    def text(low: int, high: int) -> str:
        return "".join(rng.choices(letters, k=rng.randint(low, high)))

    shared = text(60, 60)
    documents = [text(0, 200) + shared[rng.randint(0, 40) :][:30] for _ in range(4)]
    items = [text(0, 30) + shared[rng.randint(0, 40) :][:25] + text(0, 30) for _ in range(3)]
    rows = [{"id": str(at), "text": one} for at, one in enumerate(items)]
    before = module._CHUNK
    module._CHUNK = chunk
    try:
        found = contamination({"t": rows}, documents)
    finally:
        module._CHUNK = before
    for item, whole in zip(found.items, items, strict=True):
        grams = [whole[at : at + 20] for at in range(len(whole) - 19)] or [whole]
        expected = sum(any(gram in document for document in documents) for gram in grams)
        assert item.found == (expected if len(whole) >= 10 else 0)
    assert found.documents == 4
