"""Text between two languages, from aligned pairs: translations, switched words and sentences.

Pure functions of their arguments: `seed` and a row's number decide what is switched.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from kollama2.data.lines import Reject
from kollama2.data.mix import chance
from kollama2.data.read import read
from kollama2.korean import hangul, josa

Pair = tuple[str, str]
"""English, Korean."""
T = TypeVar("T")

# Both directions in several forms: a model learns only the direction that it sees.
_TRANSLATIONS = (
    "English: {en}\nKorean: {ko}",
    "한국어: {ko}\n영어: {en}",
    "{en}\n한국어로: {ko}",
    "{ko}\n영어로: {en}",
    "{en} = {ko}",
    "{ko} = {en}",
)
_STOP_WORDS = frozenset(
    "a an the of to in on at by for with from and or but is are was were be been has have had do "
    "does did not no it its he she they we you i his her their our my this that these those as so "
    "if than there who what which when where how all will would can could may".split()
)
_DOCUMENT_PAIRS = 8
_LEAST_DICE, _LEAST_TIMES, _LONGEST_ENTRY = 0.5, 3, 2


def translations(pairs: Iterable[Pair], seed: int = 0) -> Iterator[str]:
    """Each pair as one text; by turns to Korean and to English, in several forms."""
    for number, (english, korean) in enumerate(pairs):
        form = int(chance(seed, number) * len(_TRANSLATIONS) / 2)
        # Even and odd forms are the two directions, so exactly half of the texts go each way.
        yield _TRANSLATIONS[2 * form + number % 2].format(en=english, ko=korean)


def bilingual_documents(pairs: Iterable[Pair]) -> Iterator[str]:
    """Runs of eight consecutive pairs as one document each: one language whole, then the other."""
    for number, run in enumerate(_runs(pairs)):
        yield _document(run, number % 2 == 1 and len(run) == _DOCUMENT_PAIRS)


def _document(run: Sequence[Pair], korean_first: bool) -> str:
    sides = [" ".join(side) for side in zip(*run, strict=True)]
    return "\n\n".join(reversed(sides) if korean_first else sides)


def switched_sentences(pairs: Iterable[Pair], share: float = 0.5, seed: int = 0) -> Iterator[str]:
    """Documents in which some sentences are the English of their pair (sentence-level CSCL).

    Args:
        pairs: consecutive pairs; every eight make a document.
        share: of the sentences that are English.
        seed: which.
    """
    chosen = (
        english if chance(seed, number) < share else korean
        for number, (english, korean) in enumerate(pairs)
    )
    yield from map(" ".join, _runs(chosen))


def _runs(items: Iterable[T]) -> Iterator[list[T]]:
    """Items by eight; the last run may be shorter."""
    left = iter(items)
    while run := list(islice(left, _DOCUMENT_PAIRS)):
        yield run


def switched_words(
    texts: Iterable[str], words: Mapping[str, str], share: float = 0.5, seed: int = 0
) -> Iterator[str]:
    """Korean texts in which some nouns are English and keep their particle: cat이, apple을.

    Texts without a word of the dictionary are left out.

    Args:
        texts: Korean sentences.
        words: Korean to English, see `dictionary`.
        share: of the known words that are switched, but at least one of each text.
        seed: which.

    Source: CSCL, Yoo et al. 2025 (arXiv 2411.02460), token-level code-switching.
    """
    for number, text in enumerate(texts):
        parts = re.split(r"([\s.,!?\"'()“”‘’…]+)", text)
        known = [(place, new) for place, part in enumerate(parts) if (new := _switch(part, words))]
        if not known:
            continue
        chosen = [one for n, one in enumerate(known) if chance(seed, number, n) < share]
        for place, new in chosen or [known[int(chance(seed, number) * len(known))]]:
            parts[place] = new
        yield "".join(parts)


def _switch(eojeol: str, words: Mapping[str, str]) -> str | None:
    for word, particle in josa.split(eojeol):
        if word in words:
            return josa.attach(words[word], particle)
    return None


def dictionary(pairs: Sequence[Pair]) -> dict[str, str]:
    """Korean words and their English, from pairs of single words and from sentences.

    A pair of single words is an entry, also one with an English side of two. From sentences, a
    Korean word and an English one that occur together in three pairs or more are an entry when
    their Dice coefficient is at least a half and each is the other's best. No aligner and no model
    is needed; frequent nouns and names are found.
    """
    entries: dict[str, str] = {}
    korean: Counter[str] = Counter()
    english: Counter[str] = Counter()
    both: dict[str, Counter[str]] = defaultdict(Counter)
    for left, right in pairs:
        name = right.strip().rstrip(".")
        plain = re.sub(r"^(?:an?|the)\s+", "", left.strip().rstrip("."), flags=re.IGNORECASE)
        if re.fullmatch("[가-힣]+", name) and re.fullmatch("[A-Za-z]+(?: [A-Za-z]+)*", plain):
            if len(plain.split()) <= _LONGEST_ENTRY:
                entries.setdefault(name, plain)
            continue
        ours = {word for eojeol in re.findall("[가-힣]+", right) for word in _nouns(eojeol)}
        theirs = {w for w in re.findall("[A-Za-z]{3,}", left) if w.lower() not in _STOP_WORDS}
        korean.update(ours)
        english.update(theirs)
        for word in ours:
            both[word].update(theirs)
    best: dict[str, tuple[float, str]] = {}
    for word, found in both.items():
        for other, count in found.items():
            dice = 2 * count / (korean[word] + english[other])
            if count >= _LEAST_TIMES and dice >= _LEAST_DICE:
                best[word] = max(best.get(word, (0.0, "")), (dice, other))
    mutual: dict[str, tuple[float, str]] = {}
    for word, (dice, other) in best.items():
        mutual[other] = max(mutual.get(other, (0.0, "")), (dice, word))
    for other, (_, word) in sorted(mutual.items()):
        entries.setdefault(word, other)
    return entries


def _nouns(eojeol: str) -> list[str]:
    """What an eojeol may be as a noun with a particle; words of one syllable are too ambiguous."""
    return [word for word, particle in josa.split(eojeol) if particle and len(word) > 1]


def is_pair(english: str, korean: str) -> bool:
    """Whether two texts are in their languages: no Hangul in one, some in the other."""
    return not hangul.syllables(english) and hangul.syllables(korean) > 0


def read_pairs(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """The pairs of a file, English first; rows that are no pair are left out.

    Raises:
        BadData: the file cannot be read, or its two sides are not of one length.
    """
    for one in read(path, "pairs", columns):
        if isinstance(one, Reject):
            continue
        # The reader turns a pair into a translation task, by turns in each direction.
        source, target = one.messages[-2].get("input", ""), one.messages[-1]["content"]
        pair = (target, source) if hangul.syllables(source) else (source, target)
        if is_pair(*pair):
            yield pair
