"""Hangul facts of a text: how much of it is Korean, whether it is composed, what syllables are of.

The one home of these: who counts Hangul, takes syllables apart or joins them does it here.
"""

import re
import unicodedata

FIRST, LAST = 0xAC00, 0xD7A3
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

# Every range below takes three bytes a character in UTF-8.
_SYLLABLES = re.compile("[가-힣]+")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97c가-힣\ud7b0-\ud7fb\uffa1-\uffdc]+")
_BYTES_EACH = 3


def is_nfc(text: str) -> bool:
    """Whether `text` is in Unicode's composed form, the only one that tokenizers know."""
    return unicodedata.is_normalized("NFC", text)


def nfc(text: str) -> str:
    """Return `text` in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", text)


def syllables(text: str) -> int:
    """Count the composed Hangul syllables (가 to 힣)."""
    return sum(map(len, _SYLLABLES.findall(text)))


def characters(text: str) -> int:
    """Count Hangul of every kind: syllables, single jamo (ㅋㅋ), conjoining and half-width ones."""
    return sum(map(len, _HANGUL.findall(text)))


def hangul_bytes(text: str) -> int:
    """Count the UTF-8 bytes that are Hangul of any kind."""
    return _BYTES_EACH * characters(text)


def letters(text: str) -> int:
    """Count the characters that are letters of any script."""
    return sum(map(str.isalpha, text))


def share(text: str) -> float:
    """Return the share of letters that are Hangul of any kind, 0 for a text without letters."""
    return characters(text) / max(letters(text), 1)


def is_hangul(letter: str) -> bool:
    """Whether a character is Hangul of any kind."""
    return _HANGUL.match(letter) is not None


def is_syllable(letter: str) -> bool:
    """Whether a character is one composed syllable."""
    return len(letter) == 1 and FIRST <= ord(letter) <= LAST


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
