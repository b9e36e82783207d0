"""JSON text as values, with a sentence for what would be lost or cannot be held.

Python's parser keeps the last of two equal names, ends at a number of many digits and at deep
nesting with a wording of its own, and takes NaN for a number; some programs write it for an empty
cell.
"""

import json
import re
from typing import Any

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
BLANK = " \t\r\n"
DEEP = "nested too deeply to be read"


class Decoder:
    """Decodes one value after the other.

    Attributes:
        trouble: why the last value cannot be used; empty if it can.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._decode = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=_missing, parse_int=self._integer
        ).raw_decode

    def value(self, text: str, start: int = 0) -> tuple[Any, int]:
        """The value that begins at `start`, and where it ends.

        Raises:
            JSONDecodeError: it is no JSON.
        """
        self.trouble = ""
        try:
            found, end = self._decode(text, start)
        except RecursionError:
            self.trouble = DEEP
            return None, _end(text, start)
        return found, end

    def whole(self, text: str) -> Any:
        """The value that a text is.

        Raises:
            JSONDecodeError: it is none.
        """
        found, end = self.value(text, len(text) - len(text.lstrip(BLANK)))
        check_end(text, end)
        return found

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next((name for name, value in pairs if found[name] != value), None)
            if twice is not None:
                self.trouble = f'says "{twice}" twice, with two values'
        return found

    def _integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:
            self.trouble = f"holds a number of {len(digits):,} digits"
            return 0


def check_end(text: str, end: int) -> None:
    """Refuse what follows a value that ends there.

    Raises:
        JSONDecodeError: there is something.
    """
    if rest := text[end:].lstrip(BLANK):
        raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or cannot be used.
    """
    decoder = Decoder()
    found = decoder.whole(text)
    if decoder.trouble:
        raise ValueError(decoder.trouble)
    return found


def said(error: json.JSONDecodeError) -> str:
    """What is wrong with a text that is no JSON, to be followed by "at" and a place."""
    return error.msg.removesuffix(" at")


def _missing(_: str) -> None:
    """Read NaN as null."""


def _end(text: str, start: int) -> int:
    """Where the brackets that open at `start` are closed, or the end of the text."""
    depth = 0
    for found in _BRACKETS.finditer(text, start):
        if (mark := found[0][0]) != '"':
            depth += 1 if mark in "[{" else -1
            if not depth:
                return found.end()
    return len(text)
