"""Learn: the Hangul pieces of a corpus, in the order in which BPE merges them.

BPE, never Unigram: a Unigram model holds pieces that no chain of merges reaches (29 % of them on
Llama 2). Only runs of Hangul are learned from, so that no merge of another script can change; and
since a list of merges holds the parts of each of its pieces, it may be cut anywhere.
"""

import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from itertools import product
from unicodedata import normalize

from kollama2.errors import BadData

SPACE = "▁"
PIECE = re.compile(f"{SPACE}?[가-힣]+")
_RUN = re.compile(" ?[가-힣]+")
_SHARE = 0.5  # a line with less Hangul among its letters says little about Korean words
_LONGEST = 16  # characters of a piece
_MEMORY_WORDS = 2_000_000  # different words; the rarest beyond that decide no merge


def ksx1001() -> list[str]:
    """The 2,350 Hangul syllables of KS X 1001 in the order of its code table (rows 16 to 40)."""
    rows = product(range(0xB0, 0xC9), range(0xA1, 0xFF))
    return [bytes(pair).decode("euc-kr") for pair in rows]


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each run of Hangul occurs, with ▁ before those that follow a space or begin a line.

    Args:
        texts: lines or documents in any Unicode form; lines with little Hangul are passed over.
    """
    words: Counter[str] = Counter()
    for text in texts:
        for line in normalize("NFC", text).splitlines():
            found = _RUN.findall(f" {line}")
            hangul = sum(map(len, found))
            if hangul and hangul >= _SHARE * sum(map(str.isalpha, line)):
                words.update(found)
    return Counter({word.replace(" ", SPACE): count for word, count in words.items()})


def learn(words: Counter[str], size: int) -> list[str]:
    """The first pieces of two and more characters (▁ counts as one) that BPE makes of the words.

    Args:
        words: from `count_words`.
        size: how many to learn; the corpus may not have as many.

    Raises:
        BadData: there is no Hangul to learn from.
    """
    if not words:
        raise BadData("the corpus has no line that is mostly Hangul; give Korean text")
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    alphabet = {character for word in words for character in word}
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as table:
        for word, count in words.most_common(_MEMORY_WORDS):
            table.write(f"{word}\t{count}\n")
        table.flush()
        sentencepiece.SentencePieceTrainer.train(
            input=table.name,
            input_format="tsv",
            model_writer=model,
            model_type="bpe",
            # The trainer counts its one control piece and every character too.
            vocab_size=size + len(alphabet) + 1,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentencepiece_length=_LONGEST,
            max_sentence_length=1 << 20,
            byte_fallback=False,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    return [one.piece for one in proto.pieces if len(one.piece) > 1 and PIECE.fullmatch(one.piece)]
