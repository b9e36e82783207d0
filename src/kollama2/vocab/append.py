"""Append: pieces behind the old ones of a SentencePiece tokenizer.

SentencePiece and llama.cpp merge by score, transformers' own conversion by id, Meta's reference
counts rows: they agree when new pieces stand last, with strictly falling scores below the old ones.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kollama2.model.added import Added
from kollama2.model.pieces import CONTROL, NORMAL, SPACE, UNUSED, processor
from kollama2.model.tokenizer import FENCE
from kollama2.vocab.learn import ksx1001, learn, learn_frequent, learn_unigram
from kollama2.vocab.settings import VocabSettings


def pieces_of(words: Counter[str], known: set[str], settings: VocabSettings) -> list[str]:
    """New pieces in their order, by the procedure of the settings.

    Args:
        words: from `count_words`.
        known: the pieces that are there.
        settings: procedure and size.
    """
    match settings.procedure:
        case "hangul-append":
            learned = learn(words, settings.wanted)
            chosen = ordered(learned, known, first_syllables(words, settings))
        case "llama2-ko":
            chosen = ordered(learn(words, settings.wanted), known)
        case "eeve":
            chosen = iter(learn_frequent(words, settings.wanted))
        case "chinese-llama2":
            # The second edition has a piece for padding at the head of the new ones.
            chosen = iter(["<pad>", *learn_unigram(words, settings.wanted)])
    return list(dict.fromkeys(one for one in chosen if one not in known))[: settings.wanted]


def first_syllables(words: Counter[str], settings: VocabSettings) -> list[str]:
    """The syllables of KS X 1001 that become pieces before anything learned.

    Args:
        words: from `count_words`.
        settings: whether they are wanted, and how often the corpus must hold each.
    """
    if not settings.syllables:
        return []
    if not settings.min_count:
        return ksx1001()
    seen: Counter[str] = Counter()
    for word, count in words.items():
        for syllable in word:
            seen[syllable] += count
    return [one for one in ksx1001() if seen[one] >= settings.min_count]


def ordered(learned: list[str], known: set[str], syllables: Iterable[str] = ()) -> Iterator[str]:
    """Some syllables, then what was learned.

    A syllable that a learned piece is made of comes before it, because some runtimes merge only
    what is a piece itself.
    """
    yield from syllables
    for piece in learned:
        yield from (one for one in piece if one not in known and one != SPACE)
        yield piece


def hold(proto: Any, added: Mapping[str, Added]) -> None:
    """Put pieces in the places of tokens that a folder adds behind its model.

    They are control pieces, ordinary tokens too: no text became one of them in SentencePiece
    before, and none shall. What programs look for in a text beside the model, they still do.

    Args:
        proto: the model, changed in place.
        added: the folder's added tokens.
    """
    names = {one.id: name for name, one in added.items()}
    for i in range(len(proto.pieces), 1 + max(names, default=-1)):
        kind = CONTROL if i in names else UNUSED
        proto.pieces.add(piece=names.get(i, f"<unused_{i}>"), score=0.0, type=kind)


def append(proto: Any, pieces: list[str], settings: VocabSettings) -> None:
    """Add pieces to a model in place, and reserve pieces up to a multiple."""
    # Pieces of white space alone have -1e9 in Llama 2, far below the others and first by id; new
    # pieces merge before them, like all old ones do.
    scores = [one.score for one in proto.pieces if one.type == NORMAL and one.piece.strip(SPACE)]
    lowest = min(scores)
    falls = settings.procedure != "chinese-llama2"
    for index, piece in enumerate(pieces):
        score = lowest - 1 - index if falls else 0.0
        kind = CONTROL if piece == "<pad>" else NORMAL
        proto.pieces.add(piece=piece, score=score, type=kind)
    for index in range(-len(proto.pieces) % settings.multiple):
        proto.pieces.add(piece=f"<reserve_{index}>", score=0.0, type=UNUSED)
    proto.trainer_spec.vocab_size = len(proto.pieces)


def old_ids(proto: Any, texts: list[str]) -> list[list[int]]:
    """The ids of texts in the middle of a line, by a SentencePiece model."""
    model = processor(proto)
    skipped = len(model.encode(FENCE))
    return [ids[skipped:] for ids in model.encode([FENCE + text for text in texts])]
