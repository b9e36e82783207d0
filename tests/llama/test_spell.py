import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kollama2.llama.spell import Speller, spell
from kollama2.model.tokenizer import Tokenizer, load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Tokenizer:
    return load_tokenizer(tiny_tokenizer)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ue000\ufffd"), max_size=60)


@given(TEXTS | st.text("한국어 여우 The fox 😀👩‍👧\n", max_size=80))
@example("가나다라마바사아자차카타파하" * 5)
@example(unicodedata.normalize("NFD", "각각의 낱말이 분해되어 있다"))
def test_pieces_make_the_text_and_no_piece_holds_half_a_character(
    tokenizer: Tokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    pieces = list(spell(tokenizer, ids))
    assert "".join(pieces) == unicodedata.normalize("NFC", tokenizer.decode(ids))
    for piece in pieces:
        assert piece
        assert "\ufffd" not in piece
        assert not "\u1100" <= piece[-1] <= "\u11ff" or piece == pieces[-1]


def test_a_syllable_appears_with_its_last_byte(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("뷁!")[1:]  # without the space in front: three bytes and a mark
    speller = Speller(tokenizer)
    assert [speller.add(one) for one in ids[:3]] == ["", "", "뷁"]


def test_a_cut_character_is_left_out_and_stray_bytes_do_not_block(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("가나")
    assert "".join(spell(tokenizer, ids[:-1])) == "가"
    stray = ids[-1:] * 6 + tokenizer.encode("x")[1:]
    assert "".join(spell(tokenizer, stray)).endswith("x")


def test_the_space_after_a_prompt_is_kept(tokenizer: Tokenizer) -> None:
    prompt, whole = tokenizer.encode("The"), tokenizer.encode("The fox lives")
    assert "".join(spell(tokenizer, whole[len(prompt) :], prompt)) == " fox lives"
