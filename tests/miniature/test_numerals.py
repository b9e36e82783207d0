"""Numbers in Korean, read back by an independent reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.miniature import numerals

DIGITS = dict(zip("일이삼사오육칠팔구", range(1, 10), strict=True))
UNITS = {"천": 1000, "백": 100, "십": 10}
ONES = dict(zip("하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉".split(), range(1, 10), strict=True))
TENS = dict(
    zip("열 스물 서른 마흔 쉰 예순 일흔 여든 아흔".split(), range(10, 100, 10), strict=True)
)


def read_sino(text: str) -> int:
    total = digit = 0
    for char in text:
        if char in DIGITS:
            digit = DIGITS[char]
        else:
            total += (digit or 1) * UNITS[char]
            digit = 0
    return total + digit


def read_native(text: str) -> int:
    total = 0
    while text:
        word = next((w for w in (*TENS, *ONES) if text.startswith(w)), "")
        if not word:
            cut = max(text.rfind(unit) for unit in UNITS) + 1
            total, text = total + read_sino(text[:cut]), text[cut:]
            continue
        total, text = total + {**TENS, **ONES}[word], text[len(word) :]
    return total


def test_all_numbers_to_9999_read_back() -> None:
    for number in range(1, 10_000):
        assert read_sino(numerals.sino(number)) == number
        assert read_native(numerals.native(number)) == number


@pytest.mark.parametrize(
    ("number", "sino", "native"),
    [(1, "일", "하나"), (10, "십", "열"), (11, "십일", "열하나"), (20, "이십", "스물"),
     (99, "구십구", "아흔아홉"), (100, "백", "백"), (111, "백십일", "백열하나"),
     (1004, "천사", "천넷"), (2020, "이천이십", "이천스물")],
)  # fmt: skip
def test_readings(number: int, sino: str, native: str) -> None:
    assert numerals.sino(number) == sino
    assert numerals.native(number) == native


def test_ten_thousand_has_no_one_before_it() -> None:
    assert numerals.sino(10_000) == "만"
    assert numerals.sino(12_345_678) == "천이백삼십사만오천육백칠십팔"
    assert numerals.sino(0) == "영"


@pytest.mark.parametrize(
    ("number", "counter", "text"),
    [(1, "명", "한 명"), (2, "마리", "두 마리"), (3, "개", "세 개"), (4, "권", "네 권"),
     (5, "잔", "다섯 잔"), (20, "살", "스무 살"), (21, "살", "스물한 살"), (12, "시", "열두 시"),
     (30, "분", "삼십 분"), (3, "월", "삼월"), (6, "월", "유월"), (10, "월", "시월"),
     (15, "일", "십오 일"), (3000, "원", "삼천 원"), (24, "송이", "스물네 송이")],
)  # fmt: skip
def test_counters(number: int, counter: str, text: str) -> None:
    assert numerals.count(number, counter) == text


def test_counters_after_digits_and_bad_input() -> None:
    assert numerals.count(3, "월", digits=True) == "3월"
    with pytest.raises(ValueError, match="unknown counter '톨'"):
        numerals.count(3, "톨")
    with pytest.raises(ValueError, match="outside 1 to 9,999"):
        numerals.native(0)
    with pytest.raises(ValueError, match="outside 0 to"):
        numerals.sino(-1)


@given(st.integers(min_value=1, max_value=99))
def test_before_a_counter_only_five_words_change(number: int) -> None:
    full, short = numerals.native(number), numerals.native_before(number)
    changes = number == 20 or number % 10 in (1, 2, 3, 4)
    assert (full != short) == changes
