"""Hangul facts of a text: how much of it is Korean, and whether it is composed (NFC)."""

import re
import unicodedata

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
