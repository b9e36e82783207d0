"""Difficulties: known values, and what must be harder than what."""

import pytest

from kollama2.data.difficulty import MEASURES, Measure, compression, difficulties, in_ksx1001, mtld

EASY = "고양이가 잔다. 고양이가 잔다. 고양이가 잔다. 고양이가 잔다."
HARD = "헌법재판소는 어제 국회가 제정한 개정안의 위헌 여부를 두고 공개 변론을 열었다."


@pytest.mark.parametrize("measure", [one for one in MEASURES if one != "rarity"])
def test_repetition_is_easier_than_prose(measure: Measure) -> None:
    easy, hard = difficulties([EASY, HARD] + [EASY] * 20, measure)[:2]
    assert easy < hard


def test_known_values() -> None:
    assert difficulties(["가나다"], "length") == [3]
    assert mtld("하나 둘 셋 넷") == 4  # all different: as long as the text
    assert mtld("가 가 가 가") == 2  # "가 가" is one run, twice
    assert mtld("") == 0
    assert compression("가" * 400) < 0.05 < 0.9 < compression(HARD)
    # Two words of equal frequency carry one bit each.
    assert difficulties(["가 나"], "surprisal") == pytest.approx([1])


def test_ksx1001_has_2350_syllables() -> None:
    assert sum(in_ksx1001(chr(c)) for c in range(0xAC00, 0xD7A4)) == 2350
    assert in_ksx1001("한")
    assert not in_ksx1001("뷁")
    assert list(difficulties(["뷁뷁", "가가"], "rarity")) == [1, 0]
