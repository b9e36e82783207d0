"""Splice: Hangul merges behind the old ones of a byte-level BPE tokenizer (Llama 3, Qwen).

New merges in front of the old ones change English, Chinese and Khmer; behind them they change
nothing, because each makes a piece of Hangul bytes only, and no other script has such bytes.
"""

from collections.abc import Iterable
from typing import NamedTuple

from kollama2.model.bytelevel import ByteLevel
from kollama2.model.merging import merge_bytes


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
