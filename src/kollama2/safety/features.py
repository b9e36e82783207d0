"""Features of the embedded classifier: hashed n-grams of characters and of Hangul letters."""

import re
import unicodedata

import numpy as np
import numpy.typing as npt

BUCKETS = 1 << 18
# Syllables tell words apart; letters see through spellings such as 시1발 and single typing errors.
CHARACTERS = (1, 4)
LETTERS = (4, 7)
_FACTOR = np.uint64(1_000_003)
_SPACE = re.compile(r"\s+")
_REPEATED = re.compile(r"(.)\1{2,}")


def normalised(text: str) -> str:
    """Lower case, NFC, single spaces, no character more than twice in a row, a space around."""
    text = _SPACE.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()
    return " " + _REPEATED.sub(r"\1\1", text) + " "


def features(text: str) -> npt.NDArray[np.int64]:
    """Return the buckets of a text, each once, in order.

    Args:
        text: any; the empty text has buckets too.
    """
    plain = normalised(text)
    letters = unicodedata.normalize("NFD", plain.replace(" ", ""))
    return np.unique(
        np.concatenate([_hashed(plain, *CHARACTERS, salt=1), _hashed(letters, *LETTERS, salt=2)])
    )


def _hashed(text: str, shortest: int, longest: int, salt: int) -> npt.NDArray[np.int64]:
    """Hash every n-gram: a polynomial of its characters, mixed (splitmix64's finaliser)."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    found = [np.zeros(0, np.int64)]
    rolling = points
    for n in range(1, min(longest, len(points)) + 1):
        if n > 1:
            rolling = rolling[:-1] * _FACTOR + points[n - 1 :]
        if n >= shortest:
            mixed = (rolling + np.uint64(n * 7919 + salt)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(32)
            found.append((mixed % np.uint64(BUCKETS)).astype(np.int64))
    return np.concatenate(found)
