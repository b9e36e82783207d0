"""Splice: Hangul merges behind the old ones of a byte-level BPE tokenizer (Llama 3, Qwen).

New merges in front of the old ones change English, Chinese and Khmer; behind them they change
nothing, because each makes a piece of Hangul bytes only, and no other script has such bytes.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kollama2.errors import BadData
from kollama2.model.merging import merge_bytes


class ByteLevel:
    """The byte-level BPE of a `tokenizer.json`, as bytes.

    Attributes:
        tree: the file's content.
        ids: each token's id.
        added: each control token's id; no text becomes one.
        ranks: the rank of each pair that merges.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            model = self.tree["model"]
            merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
            added = {one["content"]: int(one["id"]) for one in self.tree.get("added_tokens", [])}
            self.ids = {as_bytes(t): i for t, i in model["vocab"].items() if added.get(t) != i}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadData(f"{path} is not a byte-level BPE tokenizer: {error!r}") from error
        self.ranks = {(as_bytes(a), as_bytes(b)): rank for rank, (a, b) in enumerate(merges)}
        self.added = added
        self.size = 1 + max([*self.ids.values(), *added.values()])

    def merge(self, text: bytes) -> list[bytes]:
        """The tokens of a text that is one word to the tokenizer."""
        return merge_bytes(text, self.ranks)

    def add(self, left: bytes, right: bytes) -> None:
        """Give `left + right` the next id; pairs that make it too merge behind all others."""
        whole = left + right
        self.ids[whole] = self.size
        self.size += 1
        for cut in range(1, len(whole)):
            pair = whole[:cut], whole[cut:]
            if pair[0] in self.ids and pair[1] in self.ids:
                self.ranks[pair] = len(self.ranks)

    def write(self, path: Path) -> None:
        """Write `tokenizer.json` with merges in the order of the ids that they make."""
        model = self.tree["model"]
        tokens = sorted(self.ids.items(), key=lambda one: one[1])
        new = len(model["merges"])
        # The library numbers an added token anew unless the vocabulary says which id it has.
        model["vocab"] = {**{as_letters(token): i for token, i in tokens}, **self.added}
        merges = sorted(self.ranks.items(), key=lambda one: one[1])[new:]
        merges.sort(key=lambda one: self._order(one[0]))
        model["merges"] += [[as_letters(a), as_letters(b)] for (a, b), _ in merges]
        path.write_text(json.dumps(self.tree, ensure_ascii=False), encoding="utf-8")

    def _order(self, pair: tuple[bytes, bytes]) -> int:
        made: int = self.ids[pair[0] + pair[1]]
        return made


class Split(NamedTuple):
    """The old ids that a piece stands for, with and without the space that begins a word."""

    old: list[int]
    bare: list[int]


def splice(model: ByteLevel, pieces: Iterable[str], size: int) -> dict[str, Split]:
    """Add pieces and what they are made of, behind all old merges.

    Args:
        model: gains tokens and merges.
        pieces: wanted texts in their order; one that begins a word begins with a space.
        size: how many tokens to add at most.

    Returns:
        What each new piece that is a text stands for; parts of a syllable are not among them.
    """
    first = model.size
    made: dict[str, Split] = {}
    ids, ranks = dict(model.ids), dict(model.ranks)

    def old(text: str) -> list[int]:
        return [ids[token] for token in merge_bytes(text.encode(), ranks)]

    for piece in pieces:
        text = piece.encode()
        if text in model.ids:
            continue
        parts = model.merge(text)
        # What BPE learned from characters is two parts here, or three where old tokens of bytes cut
        # across a syllable; anything longer would cost more than it saves.
        if len(parts) > 3 or model.size + len(parts) - 1 > first + size:
            continue
        while len(parts) > 1:
            model.add(parts[0], parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
        made[piece] = Split(old(piece), old(piece.removeprefix(" ")))
    return made


def _alphabet() -> Iterator[tuple[int, str]]:
    """GPT-2's letter for each byte: printable ones stand for themselves, others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = 0x100
    for byte in range(0x100):
        if byte in printable:
            yield byte, chr(byte)
        else:
            yield byte, chr(other)
            other += 1


_LETTERS = dict(_alphabet())
_BYTES = {letter: byte for byte, letter in _LETTERS.items()}


def as_bytes(token: str) -> bytes:
    """The bytes that the letters of a token in a vocabulary stand for."""
    return bytes(_BYTES[letter] for letter in token)


def as_letters(token: bytes) -> str:
    """A token as it stands in a vocabulary."""
    return "".join(_LETTERS[byte] for byte in token)
