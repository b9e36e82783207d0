"""Scripts: which characters a language is written in, and what their bytes can be."""

import sys
from collections.abc import Sequence

import regex

from kollama2.vocab.settings import Language

_SCRIPTS: dict[Language, tuple[str, ...]] = {
    "ar": ("Arabic",),
    "bn": ("Bengali",),
    "el": ("Greek",),
    "he": ("Hebrew",),
    "hi": ("Devanagari",),
    "ja": ("Han", "Hiragana", "Katakana"),
    "ko": ("Hangul",),
    "ru": ("Cyrillic",),
    "ta": ("Tamil",),
    "th": ("Thai",),
    "zh": ("Han", "Bopomofo"),
}
_EVERYWHERE = ("Common", "Inherited")  # digits, punctuation, white space, emoji, accents


class Alphabet:
    """The characters of some languages, with those that belong to no script.

    Args:
        languages: their ISO 639 codes; those of Europe's west are written in Latin letters.
    """

    def __init__(self, languages: Sequence[Language]) -> None:
        scripts = {name for one in languages for name in _SCRIPTS.get(one, ("Latin",))}
        named = "".join(rf"\p{{Script={name}}}" for name in (*_EVERYWHERE, *sorted(scripts)))
        known = regex.compile(f"[{named}]+")
        every = "".join(map(chr, range(sys.maxunicode + 1)))
        self.characters = frozenset("".join(known.findall(every)))
        self._starts, self._ends, self._middles = set[bytes](), set[bytes](), set[bytes]()
        for one in self.characters:
            code = one.encode()
            for cut in range(1, len(code)):
                self._starts.add(code[:cut])
                self._ends.add(code[cut:])
                self._middles |= {code[cut:-1], code[1 : 1 + cut]}

    def writes(self, text: str) -> bool:
        """Whether a text has these characters alone."""
        return self.characters.issuperset(text)

    def holds(self, token: bytes) -> bool:
        """Whether a token can stand in a text of these characters, wherever it begins and ends."""
        begin = next((i for i, byte in enumerate(token) if not _goes_on(byte)), len(token))
        if begin == len(token):
            return token in self._ends or token in self._middles
        last = max(i for i, byte in enumerate(token) if not _goes_on(byte))
        end = len(token) if token[last:] not in self._starts else last
        try:
            text = token[begin:end].decode()
        except UnicodeDecodeError:
            return False
        return self.writes(text) and (not begin or token[:begin] in self._ends)


def _goes_on(byte: int) -> bool:
    """Whether a byte is not the first of its character."""
    return 0x80 <= byte < 0xC0
