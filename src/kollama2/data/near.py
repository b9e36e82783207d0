"""Near-duplicates: documents that share most of their five-character pieces.

MinHash with an LSH index, both of datasketch. An index keeps half a kilobyte of each document and
never its text; for more documents than memory holds so see `kollama2.data.cluster`.
"""

import numpy as np
from xxhash import xxh32_intdigest

from kollama2.data.tidy import bare

PIECE = 5
PERMUTATIONS = 128
_AT_ONCE = 8192


def pieces(text: str) -> set[bytes]:
    """Every run of five letters or digits, without spaces, signs and capitals."""
    plain = bare(text)
    return {plain[at : at + PIECE].encode() for at in range(max(1, len(plain) - PIECE + 1))}


class NearIndex:
    """Documents seen so far; the first of a group of near-duplicates stays.

    Args:
        threshold: least estimated Jaccard similarity of the pieces, between 0 and 1.
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash, MinHashLSH

        self.threshold = threshold
        self._empty = MinHash(num_perm=PERMUTATIONS, hashfunc=xxh32_intdigest)
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
        self._names: list[str] = []
        self._hashes: list[np.ndarray] = []

    def find_or_add(self, name: str, text: str) -> tuple[str, float] | None:
        """Return the name and estimated similarity of the most similar document, if there is one.

        A document without one is added under its name.
        """
        sketch = self._empty.copy()
        found = sorted(pieces(text))
        # 8,192 pieces by 128 permutations are 4 MB at a time, however long the document.
        for start in range(0, len(found), _AT_ONCE):
            sketch.update_batch(found[start : start + _AT_ONCE])
        alike = [(float(np.mean(self._hashes[n] == sketch.hashvalues)), -n)
                 for n in self._index.query(sketch)]  # fmt: skip
        best, place = max(alike, default=(0.0, 0))
        if best >= self.threshold:
            return self._names[-place], best
        self._index.insert(len(self._names), sketch, check_duplication=False)
        self._names.append(name)
        self._hashes.append(sketch.hashvalues)
        return None
