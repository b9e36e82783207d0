"""Particles after words of any script, by readings of native speakers."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.korean import hangul, josa
from kollama2.korean.sound import final_sound

# Words with their particles, as Koreans write them: "|" stands before the particle, "_" is a space.
READINGS = Path(__file__).with_name("readings.txt").read_text(encoding="utf-8").split()
PAIRS = [tuple(one.replace("_", " ").split("|")) for one in READINGS]
OTHER = {form: pair for pair in (*josa._PAIRS, *josa._RO, *josa._MORE) for form in pair}


def test_the_table_is_as_large_as_it_says() -> None:
    assert len(PAIRS) > 400
    assert len(set(PAIRS)) == len(PAIRS)


@pytest.mark.parametrize(("word", "particle"), PAIRS)
def test_both_forms_become_the_one_that_is_read(word: str, particle: str) -> None:
    for form in OTHER[particle] if particle not in {"아", "야"} else "아야":
        assert josa.attach(word, form) == word + particle
    decomposed = unicodedata.normalize("NFD", word)
    assert josa.attach(decomposed, particle) == decomposed + particle


@pytest.mark.parametrize(
    ("word", "particle", "whole"),
    [
        ("?!", "는", "?!은(는)"), ("👍", "가", "👍이(가)"), ("ㅋㅋ", "를", "ㅋㅋ을(를)"),
        ("☎", "로", "☎(으)로"), ("Москва", "나", "Москва(이)나"), ("", "와", "과(와)"),
        ("你", "에요", "你에요"), ("👍", "예요", "👍이에요(예요)"), ("👍", "랑", "👍(이)랑"),
    ],
)  # fmt: skip
def test_an_unknown_reading_gets_both_forms(word: str, particle: str, whole: str) -> None:
    assert josa.attach(word, particle) == whole


def test_a_particle_with_one_form_is_added() -> None:
    assert josa.attach("cat", "에서") == "cat에서"
    assert josa.attach("cat", "") == "cat"


def test_hanja_are_read_as_their_hangul() -> None:
    words = {
        "國家": "국가", "法律": "법률", "音樂": "음악", "圖書館": "도서관", "入力": "입력",
        "生活": "생활", "南北": "남북", "親舊": "친구", "安寧": "안녕", "承諾": "승낙",
    }  # fmt: skip
    for hanja, read in words.items():
        assert final_sound(hanja) == final_sound(read), hanja


@given(st.text())
def test_any_text_has_a_sound_or_none(text: str) -> None:
    found = final_sound(text)
    assert found is None or found == "" or found in hangul.FINALS
    assert josa.attach(text, "을").startswith(text)


def test_eojeol_are_read_with_the_longest_particle_first() -> None:
    assert josa.split("학교에서는")[0] == ("학교", "에서는")
    assert ("학교에서", "는") in josa.split("학교에서는")
    assert josa.split("나")[-1] == ("나", "")
    assert josa.split("바다") == [("바다", "")]
