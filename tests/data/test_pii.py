"""Personal data: what is masked, and what only looks like it."""

import pytest

from kollama2.data.pii import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("연락처는 010-1234-5678입니다.", "연락처는 [전화번호]입니다."),
        ("01012345678로 전화 주세요.", "[전화번호]로 전화 주세요."),
        ("사무실 02-345-6789, 팩스 (031) 123-4567", "사무실 [전화번호], 팩스 [전화번호]"),
        ("+82 10-9876-5432", "[전화번호]"),
        ("+82-(0)10-9876-5432", "[전화번호]"),
        ("인터넷 전화 070.1234.5678", "인터넷 전화 [전화번호]"),
        ("주민번호 900101-1234567이고", "주민번호 [주민등록번호]이고"),
        ("9001011234567", "[주민등록번호]"),
        ("mira.kim+news@mail.example.co.kr로 보내세요", "[이메일]로 보내세요"),
    ],
)
def test_masked(text: str, masked: str) -> None:
    found, counts = mask(text)
    assert found == masked
    assert counts.total() == masked.count("[")


@pytest.mark.parametrize(
    "text",
    [
        "대표번호 1588-1234",
        "2019-04-01에 시작해 2020-05-01에 끝났다.",
        "인구는 9,720,846명이다.",
        "ISBN 978-89-01-23456-7",
        "주문 991399-1234567",  # no month 13, no day 99
        "원주율은 3.14159265358979",
        "@기자가 말했다",
        "서기 1900년 1월 1일",
    ],
)
def test_left_alone(text: str) -> None:
    assert mask(text) == (text, {})
