"""Expected: what a larger vocabulary saves, before its pieces are learned."""

from itertools import pairwise

from kollama2.vocab.settings import VocabSettings

_LEFT = ((0, 1.0), (1716, 0.480), (3671, 0.399), (7601, 0.353), (15_442, 0.324))
"""New learned pieces of Llama 2, and the share of its tokens that Korean then takes: newspapers
with 6.43 tokens an eojeol before (see the journal)."""
_SYLLABLES, _LEFT_SYLLABLES = 2239, 0.665
"""Syllables of KS X 1001 that Llama 2 lacks, and the share with those alone."""


def tokens_left(settings: VocabSettings) -> float:
    """The share of its tokens that Korean takes after a vocabulary of Llama 2's kind has grown."""
    learned, known = settings.wanted, _LEFT
    if settings.procedure == "hangul-append" and settings.syllables:
        if learned <= _SYLLABLES:
            return 1 - (1 - _LEFT_SYLLABLES) * learned / _SYLLABLES
        learned -= _SYLLABLES
        known = ((0, _LEFT_SYLLABLES), *_LEFT[1:])
    for (low, before), (high, after) in pairwise(known):
        if learned <= high:
            return before + (after - before) * (learned - low) / (high - low)
    return known[-1][1]
