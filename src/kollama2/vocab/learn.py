"""Learn: the Hangul pieces of a corpus, in the order in which BPE merges them.

BPE, never Unigram: a Unigram model holds pieces that no chain of merges reaches (29 % of them on
Llama 2). Only runs of Hangul are learned from, so that no merge of another script can change; and
since a list of merges holds the parts of each of its pieces, it may be cut anywhere.
"""

import io
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any
from unicodedata import normalize

from kollama2.errors import BadData
from kollama2.model.pieces import SPACE

HANGUL = re.compile(" ?[가-힣]+")
WORDS = re.compile(r" ?\S+")
_SHARE = 0.5  # a line with less Hangul among its letters says little about Korean words
_LONGEST = 16  # characters of a piece
_MEMORY_WORDS = 2_000_000  # different words; the rarest beyond that decide no merge


def ksx1001() -> list[str]:
    """The 2,350 Hangul syllables of KS X 1001 in the order of its code table (rows 16 to 40)."""
    rows = product(range(0xB0, 0xC9), range(0xA1, 0xFF))
    return [bytes(pair).decode("euc-kr") for pair in rows]


def ended(marks: str) -> re.Pattern[str]:
    """Runs of Hangul with the mark that ends them.

    Args:
        marks: full stop and comma, as far as the old tokenizer has pieces for them: a new piece for
            a mark alone would change English.
    """
    if not marks:
        return HANGUL
    # Not the mark of 3.5, of a list without spaces, or of a row of dots.
    return re.compile(rf" ?[가-힣]+(?:[{re.escape(marks)}](?![.,\d가-힣]))?")


def count_words(texts: Iterable[str], pattern: re.Pattern[str] = HANGUL) -> Counter[str]:
    """How often each word of Korean lines occurs, with a space before it where it had one.

    Args:
        texts: lines or documents in any Unicode form; lines with little Hangul are passed over.
        pattern: what counts as a word; runs of Hangul with the space before them by default.

    Raises:
        BadData: no line is mostly Hangul.
    """
    words: Counter[str] = Counter()
    for text in texts:
        for line in normalize("NFC", text).splitlines():
            hangul = sum(map(len, HANGUL.findall(line)))
            if hangul and hangul >= _SHARE * sum(map(str.isalpha, line)):
                words.update(pattern.findall(f" {line}"))
    if not words:
        raise BadData("the corpus has no line that is mostly Hangul; give Korean text")
    return words


def sampled(texts: Iterable[str], kept: list[str], count: int) -> Iterator[str]:
    """Hand texts on and keep a random sample of their Korean lines.

    Args:
        texts: any texts.
        kept: gets up to `count` lines; every line has the same chance.
        count: of lines.
    """
    draw, seen = random.Random(count), 0
    for text in texts:
        yield text
        for line in text.splitlines():
            if not HANGUL.search(line):
                continue
            seen += 1
            if len(kept) < count:
                kept.append(line)
            elif (place := draw.randrange(seen)) < count:
                kept[place] = line


def learn(words: Counter[str], size: int) -> list[str]:
    """The first pieces of two and more characters (▁ counts as one) that BPE makes of the words.

    Args:
        words: from `count_words`.
        size: how many to learn; the corpus may not have as many.
    """
    # The trainer counts its one control piece and every character too.
    # The words are cut already; else the trainer cuts them once more where the script changes.
    own: dict[str, Any] = {"model_type": "bpe", "split_by_unicode_script": False}
    model = _trained(words, vocab_size=size + len(_alphabet(words)) + 1, **own)
    return [one.piece for one in model.pieces if len(one.piece) > 1 and one.type == 1]


def learn_frequent(words: Counter[str], size: int) -> list[str]:
    """BPE pieces by their use alone: the most frequent ones, whether their parts are among them.

    EEVE's way (arXiv 2402.14714, section 3.1); it leaves pieces that nothing reaches any more.
    """
    import sentencepiece

    model = _trained(words, model_type="bpe", vocab_size=5 * size)
    encoder = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    used: Counter[str] = Counter()
    names = list(words)
    for name, pieces in zip(names, encoder.encode(names, out_type=str), strict=True):
        for piece in pieces:
            used[piece] += words[name]
    best = {piece for piece, _ in used.most_common(size)}
    return [one.piece for one in model.pieces if one.piece in best and one.type == 1]


def learn_unigram(words: Counter[str], size: int) -> list[str]:
    """The pieces of a Unigram model of all scripts, with SentencePiece's own settings.

    Chinese-LLaMA's way (the trainer_spec of its chinese_sp.model).
    """
    own = {"normalization_rule_name": "nmt_nfkc", "character_coverage": 0.9995}
    # A piece for every character is the least that the trainer makes; the caller takes the first.
    least = len(_alphabet(words))
    model = _trained(words, model_type="unigram", vocab_size=max(size, least) + 1, **own)
    return [one.piece for one in model.pieces if one.type == 1]


def _alphabet(words: Iterable[str]) -> set[str]:
    return {character for word in words for character in word}


def _trained(words: Counter[str], **options: Any) -> Any:
    """The protocol buffer of a SentencePiece model of counted words."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as table:
        for word, count in words.most_common(_MEMORY_WORDS):
            table.write(f"{word.replace(' ', SPACE)}\t{count}\n")
        table.flush()
        usual: dict[str, Any] = {
            "character_coverage": 1.0,
            "normalization_rule_name": "identity",
            "max_sentencepiece_length": _LONGEST,
        }
        sentencepiece.SentencePieceTrainer.train(
            input=table.name,
            input_format="tsv",
            model_writer=model,
            hard_vocab_limit=False,
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentence_length=1 << 20,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
            **(usual | options),
        )
    return sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
