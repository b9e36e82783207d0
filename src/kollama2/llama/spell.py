"""Ids to text while they come: never half a character, never half a syllable."""

import unicodedata
from collections.abc import Iterable, Iterator

from kollama2.model.tokenizer import Tokenizer

_REPLACEMENT = "\ufffd"
_LONGEST = 4  # bytes of one character in UTF-8
_WINDOW = 16  # ids that are decoded again for each new one


class Speller:
    """Text of ids that come one by one.

    The bytes of a character that is not finished are held back, and so are the letters of a
    decomposed Hangul syllable until the next syllable begins; what is given out is NFC.

    Args:
        tokenizer: of the model.
        before: the ids that stand before, so that the first piece keeps its space.
    """

    def __init__(self, tokenizer: Tokenizer, before: Iterable[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(before)[-_WINDOW:]
        self._known = tokenizer.decode(self._ids)
        self._held = ""

    def add(self, token: int) -> str:
        """The text that is finished with this id; often empty."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if not text.startswith(self._known):
            # An unfinished character at the end of what stood before has become another one.
            self._known = self._known.rstrip(_REPLACEMENT)
        new = text[len(self._known) :]
        tail = len(new) - len(new.rstrip(_REPLACEMENT))
        if 0 < tail < _LONGEST:
            return ""  # more than that can never become a character
        if len(self._ids) > 2 * _WINDOW:
            self._ids = self._ids[-_WINDOW:]
            self._known = self._tokenizer.decode(self._ids)
        else:
            self._known = text
        return self._composed(new)

    def end(self) -> str:
        """What was held back; the bytes of a character that never came to its end are left out."""
        text = self._tokenizer.decode(self._ids)[len(self._known) :].rstrip(_REPLACEMENT)
        held, self._held = self._held + text, ""
        return unicodedata.normalize("NFC", held)

    def _composed(self, new: str) -> str:
        text = self._held + new
        cut = len(text)
        while cut and "\u1100" <= text[cut - 1] <= "\u11ff":
            cut -= 1
        self._held = text[cut:]
        return unicodedata.normalize("NFC", text[:cut])


def spell(tokenizer: Tokenizer, ids: Iterable[int], before: Iterable[int] = ()) -> Iterator[str]:
    """Yield the text of ids as they come, in pieces that are never empty."""
    speller = Speller(tokenizer, before)
    for one in ids:
        if text := speller.add(one):
            yield text
    if text := speller.end():
        yield text
