"""Merging: the rules by which llama.cpp and tiktoken merge, in plain Python, to check others by.

They share no code with SentencePiece or the tokenizers library; a tokenizer on which all agree
means the same in every runtime.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, AnyStr

from kollama2.model.pieces import BYTE, SPACE, USER_DEFINED

_NEVER = 1 << 62


class Llamacpp:
    """llama.cpp's SentencePiece rule: the adjacent pair that makes the best-scored piece, leftmost.

    Args:
        proto: a SentencePiece BPE model with byte fallback.
    """

    def __init__(self, proto: Any) -> None:
        self._ids = {one.piece: i for i, one in enumerate(proto.pieces)}
        self._scores = [one.score for one in proto.pieces]
        self._bytes = {
            int(one.piece[1:-1], 16): i for i, one in enumerate(proto.pieces) if one.type == BYTE
        }
        self._prefix = SPACE if proto.normalizer_spec.add_dummy_prefix else ""
        names = [one.piece for one in proto.pieces if one.type == USER_DEFINED]
        self._apart = Apart(name.replace(SPACE, " ") for name in names)
        # Where no piece goes on behind a space, words merge apart from each other.
        alone = not any(SPACE in one.piece.lstrip(SPACE) for one in proto.pieces)
        self._words = re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+" if alone else ".+", re.DOTALL)
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of a text without control tokens."""
        ids = list[int]()
        for part, name in self._apart.split(text):
            if name:
                ids.append(self._ids[part.replace(" ", SPACE)])
                continue
            for word in self._words.findall(self._prefix + part.replace(" ", SPACE)):
                if word not in self._known:
                    self._known[word] = self._merge(list(word))
                ids += self._known[word]
        return ids

    def _merge(self, symbols: list[str | None]) -> list[int]:
        after = list(range(1, len(symbols) + 1))
        before = list(range(-1, len(symbols) - 1))
        heap: list[tuple[float, int, int, str]] = []
        parts: dict[str, tuple[str, str]] = {}

        def offer(left: int, right: int) -> None:
            a, b = symbols[left], symbols[right]
            assert a is not None
            assert b is not None
            found = self._ids.get(a + b)
            if found is not None:
                heapq.heappush(heap, (-self._scores[found], left, right, a + b))
                parts[a + b] = (a, b)

        for left in range(len(symbols) - 1):
            offer(left, left + 1)
        while heap:
            _, left, right, whole = heapq.heappop(heap)
            a, b = symbols[left], symbols[right]
            if a is None or b is None or a + b != whole:
                continue  # one side was merged away since
            symbols[left], symbols[right] = whole, None
            after[left] = after[right]
            if after[left] < len(symbols):
                before[after[left]] = left
                offer(left, after[left])
            if before[left] >= 0:
                offer(before[left], left)
        return [i for one in symbols if one is not None for i in self._output(one, parts)]

    def _output(self, symbol: str, parts: Mapping[str, tuple[str, str]]) -> list[int]:
        found = self._ids.get(symbol)
        if found is not None:
            return [found]
        if symbol in parts:
            left, right = parts[symbol]
            return self._output(left, parts) + self._output(right, parts)
        return [self._bytes[byte] for byte in symbol.encode()]


def merge_bytes(word: AnyStr, ranks: Mapping[tuple[AnyStr, AnyStr], int]) -> list[AnyStr]:
    """Byte-pair merging of one pre-token: the pair of the lowest rank, until none has a rank.

    Args:
        word: the pre-token, as bytes or as letters that stand for bytes.
        ranks: the rank of each pair that may merge.
    """
    symbols = [word[i : i + 1] for i in range(len(word))]
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, _NEVER))
        if best not in ranks:
            break
        merged, i = list[AnyStr](), 0
        while i < len(symbols):
            if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == best:
                merged.append(symbols[i] + symbols[i + 1])
                i += 2
            else:
                merged.append(symbols[i])
                i += 1
        symbols = merged
    return symbols


class Apart:
    """Cuts texts at tokens that stand for their text and are looked for before all merges.

    The longest is looked for first, wherever it stands, as llama.cpp does.

    Args:
        names: of the tokens.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(dict.fromkeys(names), key=lambda name: -len(name.encode()))
        self._any = re.compile("|".join(map(re.escape, self._names)) or "(?!)")

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """The parts of a text: what merges, and such tokens (True)."""
        parts = [(text, False)]
        for name in self._names if self._any.search(text) else ():
            parts = [cut for part in parts for cut in _cut(*part, name)]
        return (part for part in parts if part[0])


def _cut(part: str, whole: bool, name: str) -> Iterator[tuple[str, bool]]:
    """A part of a text at every place of a name; a token stays as it is."""
    if whole:
        yield part, True
        return
    first, *others = part.split(name)
    yield first, False
    for other in others:
        yield name, True
        yield other, False
