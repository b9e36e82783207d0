"""Hangul syllables: taking them apart, and the final sound that decides which particle follows."""

import re

FIRST, LAST = 0xAC00, 0xD7A3
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"

# The last sound of each digit as read in Sino-Korean: 영 일 이 삼 사 오 육 칠 팔 구.
DIGIT_FINALS = {
    "0": "ㅇ",
    "1": "ㄹ",
    "2": " ",
    "3": "ㅁ",
    "4": " ",
    "5": " ",
    "6": "ㄱ",
    "7": "ㄹ",
    "8": "ㄹ",
    "9": " ",
}
# Trailing zeros are read as the unit: 십 백 천 만 (also 십만, 백만, 천만) 억.
ZERO_FINALS = {1: "ㅂ", 2: "ㄱ", 3: "ㄴ", 4: "ㄴ", 5: "ㄴ", 6: "ㄴ", 7: "ㄴ", 8: "ㄱ"}
# Letters that Korean writes as a final consonant at the end of a romanised word.
LATIN_FINALS = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "k": "ㄱ", "p": "ㅂ", "t": "ㅅ", "b": "ㅂ"}
# A lone capital is read by its letter name: L 엘, M 엠, N 엔, R 알.
LETTER_FINALS = {"L": "ㄹ", "M": "ㅁ", "N": "ㄴ", "R": "ㄹ"}


def is_syllable(char: str) -> bool:
    """True for one composed Hangul syllable."""
    return len(char) == 1 and FIRST <= ord(char) <= LAST


def split(syllable: str) -> tuple[str, str, str]:
    """Initial, vowel and final of a syllable; the final is a blank when there is none."""
    code = ord(syllable) - FIRST
    return INITIALS[code // 588], VOWELS[code % 588 // 28], FINALS[code % 28]


def join(initial: str, vowel: str, final: str = " ") -> str:
    """The syllable of these three letters."""
    index = INITIALS.index(initial) * 588 + VOWELS.index(vowel) * 28 + FINALS.index(final)
    return chr(FIRST + index)


def with_final(text: str, final: str) -> str:
    """Replace the final of the last syllable: 가 + ㄴ is 간, 살 without final is 사."""
    initial, vowel, _ = split(text[-1])
    return text[:-1] + join(initial, vowel, final)


def final_of(word: str) -> str:
    """The final consonant a reader pronounces at the end of a word, blank after a vowel.

    Brackets and quotation marks at the end are not read: 미라(Mira) ends like 미라.

    Args:
        word: Korean, digits (read in Sino-Korean) or a romanised name.

    Raises:
        ValueError: The word ends in a sign that has no reading.
    """
    bare = re.sub(r"\([^()]*\)$", "", word).rstrip("'\"’”」』")
    last = bare[-1:]
    if is_syllable(last):
        return split(last)[2]
    if last.isascii() and last.isdigit():
        return _final_of_digits(bare)
    if last.isascii() and last.isalpha():
        return _final_of_latin(bare)
    raise ValueError(f"no reading for the end of {word!r}: give Hangul, digits or Latin letters")


def _final_of_digits(bare: str) -> str:
    digits = re.split(r"[^0-9,]", bare)[-1].replace(",", "")
    zeros = len(digits) - len(digits.rstrip("0"))
    if zeros == len(digits) or zeros == 0:
        return DIGIT_FINALS[digits[-1]]
    return ZERO_FINALS[min(zeros, 8)]


def _final_of_latin(bare: str) -> str:
    word = re.split(r"[^A-Za-z]", bare)[-1]
    if len(word) == 1 or word.isupper():
        return LETTER_FINALS.get(word[-1].upper(), " ")
    if word.endswith("ng"):
        return "ㅇ"
    return LATIN_FINALS.get(word[-1].lower(), " ")
