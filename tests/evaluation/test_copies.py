"""Copies of texts in other text: to the letter, whatever was edited, and none that is not there."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.evaluation import copies as module
from kollama2.evaluation.copies import Copies, squeezed

TEXT = (
    "여우는 추운 겨울밤에도 숲속길을 조용히 걸어 다니며 먹이를 찾았고, 새벽이 되어서야 "
    "굴로 돌아와 새끼들 곁에서 잠이 들었다."
)
OTHER = "정부는 내년부터 지방 도서관의 개관 시간을 두 시간 늘리기로 했다고 밝혔다."
ENGLISH = "The old fox walked through the silent forest all night and came home at dawn to sleep."


def share(text: str, *documents: str) -> float:
    copies = Copies([("task", text)])
    return float(copies.shares([squeezed(one) for one in documents])[0])


def test_letters_alone_count() -> None:
    assert squeezed("Ａ급 ①번, 3.5％!") == "a급1번35"
    assert len(squeezed(TEXT)) == 51
    spaced = TEXT.replace(" ", "\n").replace(",", " – ")
    assert share(TEXT, f"앞의 글. {spaced} 뒤의 글.") == 1
    assert share(TEXT, TEXT.replace(" ", "")) == 1
    assert share(TEXT, unicodedata.normalize("NFD", TEXT)) == 1


def test_full_width_is_the_same_text() -> None:
    text = "2019년 3월 4일에 KTX 요금이 13,500원에서 59,800원으로 올랐다고 한다."
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)
    assert share(text, wide) == 1


def test_changed_particles_and_endings_are_found() -> None:
    edited = (
        "여우가 추운 겨울밤에는 숲속길로 조용히 걸어 다니면서 먹이를 찾았으며, 새벽이 되어서야 "
        "굴에 돌아와 새끼들 곁에서 잠이 들었습니다."
    )
    # Seven syllables were changed, and 여우 is too short to be looked up between 앞 and 가.
    assert share(TEXT, f"앞 {edited}") == pytest.approx((51 - 7 - 2) / 51)


def test_sentences_in_another_order_are_found() -> None:
    first, second = TEXT.split(", ")
    assert share(TEXT, f"{second} {first}") == pytest.approx(51 / 51)
    # What stands between the halves counts against neither, as long as the window holds both.
    assert share(TEXT, f"{first}. 1) 곰 2) 사슴 3) 토끼 정답은 {second}") == pytest.approx(1)
    assert share(TEXT, f"{first} {OTHER} {OTHER} {second}") == 0


def test_seven_tenths_are_not_enough_and_more_are() -> None:
    letters = squeezed(TEXT)
    assert (share(TEXT, letters[:35]), 35 / 51 < 0.7) == (0, True)
    assert (share(TEXT, letters[:36]), 36 / 51 > 0.7) == (pytest.approx(36 / 51), True)


def test_two_documents_are_not_one() -> None:
    letters = squeezed(TEXT)
    assert share(TEXT, letters[:30], letters[30:]) == 0


def test_english_is_looked_up_by_longer_pieces() -> None:
    assert share(ENGLISH, ENGLISH.upper()) == 1
    # Of 69 letters "oldfox" is gone, and "The" before it is too short to be looked up.
    edited = ENGLISH.replace("old fox", "young wolf")
    assert share(ENGLISH, edited) == pytest.approx((69 - 6 - 3) / 69)
    assert share(ENGLISH, "The old wolf ran into the dark wood at night and slept at dawn.") == 0


def test_what_texts_of_a_group_share_proves_nothing() -> None:
    asked = ["여우는 어디에서 잠이 들었습니까? 새끼들 곁", "여우가 찾아다닌 것은 무엇입니까? 먹이"]
    passage = Copies([("task", f"{TEXT} {one}") for one in asked])
    assert passage.shares([squeezed(TEXT)]).tolist() == [0, 0]
    first = passage.shares([squeezed(f"{TEXT} {asked[0]}")])
    assert (first[0], first[1]) == (1, 0)
    # In another group the passage is a text's own, and so it is where all texts are the same.
    assert Copies([("a", TEXT), ("b", TEXT)]).shares([squeezed(TEXT)]).tolist() == [1, 1]
    assert Copies([("a", TEXT), ("a", f"{TEXT}!")]).shares([squeezed(TEXT)]).tolist() == [1, 1]


def test_a_template_alone_proves_nothing() -> None:
    template = "다음 글을 주의 깊게 읽고 글쓴이의 생각으로 알맞은 것을 하나만 고르시오."
    names = ["가람", "나리", "다솜", "라온", "마루", "바름", "사랑", "아라", "자람", "차돌"]
    copies = Copies([("task", f"{template} {name}의 집은 {name}골에 있다.") for name in names])
    assert copies.judged.all()
    assert not copies.shares([squeezed(f"{template} {OTHER}")]).any()
    found = copies.shares([squeezed(f"{template} 마루의 집은 마루골에 있다.")])
    assert [name for name, one in zip(names, found, strict=True) if one] == ["마루"]


def test_what_cannot_be_told_is_not_judged() -> None:
    copies = Copies([("a", "가나다라 마바사아자"), ("a", "거너더러머버서어저처")])
    assert copies.judged.tolist() == [False, True]  # nine letters and ten
    assert Copies([]).shares(["가나다"]).tolist() == []


def test_a_text_with_too_little_of_its_own_must_be_there_to_the_letter() -> None:
    # Three letters are the first one's own (the last n-gram), none the second's.
    texts = ["여우가 숲속길을 조용히 걸어 다녔다", "여우가 숲속길을 조용히 걸어 다녔"]
    copies = Copies([("a", one) for one in texts])
    assert copies.judged.tolist() == [True, True]
    assert copies.shares([squeezed(texts[1])]).tolist() == [0, 1]
    assert copies.shares([squeezed(texts[0])]).tolist() == [1, 1]
    assert copies.shares([squeezed("여우가 숲속길을 조용히 뛰어 다녔다")]).tolist() == [0, 0]


def test_a_long_document_is_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    copies = Copies([("task", TEXT)])
    for before in range(0, 220, 7):
        document = squeezed(OTHER * 20)[:before] + squeezed(TEXT) + squeezed(OTHER * 3)
        pieces = list(copies.pieces(document))
        assert max(map(len, pieces)) <= 100 + int(51 * 1.6)
        assert copies.shares(pieces)[0] == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_copy_is_found_among_anything(data: st.DataObject) -> None:
    letters = st.text(alphabet="가나다라마바사아자차", min_size=0, max_size=80)
    texts = data.draw(st.lists(letters, min_size=1, max_size=8))
    documents = data.draw(st.lists(letters, min_size=1, max_size=6))
    copies = Copies([("task", one) for one in texts])
    shares = copies.shares([*documents, *texts])
    assert (shares <= 1).all()
    assert (shares[copies.judged] == 1).all()
    assert not shares[~copies.judged].any()
    # Each document by itself says the same as all of them at once, in any order.
    apart = [copies.shares([one]) for one in [*texts, *documents[::-1]]]
    assert (shares == [max(one[at] for one in apart) for at in range(len(texts))]).all()
