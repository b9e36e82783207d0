"""A little Korean of our own, and tokenizers to expand."""

import base64
import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from kollama2.data.read import Example, read
from kollama2.miniature import corpora
from kollama2.model.bytelevel import as_letters
from tests.tiny import ENGLISH

# Llama 3's pattern of words.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def korean(folder: Path, size: int = 200) -> list[str]:
    """Lines of the miniature's Korean."""
    corpora.write("text-ko", folder, seed=0, size=size)
    return [text for one in read(folder) if isinstance(one, Example) for text in one.texts()]


def byte_level(folder: Path, ranks: dict[bytes, int]) -> Path:
    """A `tokenizer.json` of byte-level BPE in Llama 3's manner, from ranks as tiktoken has them."""
    merges = []
    for whole in sorted(ranks, key=lambda token: ranks[token]):
        pairs = [(whole[:cut], whole[cut:]) for cut in range(1, len(whole))]
        known = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(as_letters(a), as_letters(b)) for a, b in known]
    vocab = {as_letters(token): rank for token, rank in ranks.items()}
    fast = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    folder.mkdir(parents=True, exist_ok=True)
    fast.save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def small_ranks() -> dict[bytes, int]:
    """All bytes and 200 merges of English."""
    from tokenizers.trainers import BpeTrainer

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=456, initial_alphabet=alphabet, show_progress=False)
    fast.train_from_iterator(ENGLISH * 20, trainer)
    from kollama2.model.bytelevel import as_bytes

    return {as_bytes(token): i for token, i in fast.get_vocab().items()}


def llama3_ranks(path: Path) -> dict[bytes, int]:
    """The ranks of Llama 3's `tokenizer.model`."""
    pairs = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
