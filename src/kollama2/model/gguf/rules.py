"""Rules: what a GGUF file itself says about texts and ids, in plain Python, to check others by."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unicodedata import normalize

from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.splits import Split
from kollama2.model.merging import Llamacpp, merge_bytes
from kollama2.model.pieces import USER_DEFINED

Rule = Callable[[str], list[int]]


class Whole:
    """Cuts texts at the tokens that a file wants whole, the longest first, as llama.cpp does.

    Args:
        tokens: the file's.
        kinds: of each.
        rule: the ids of what lies between.
    """

    def __init__(self, tokens: Sequence[str], kinds: Sequence[int], rule: Rule) -> None:
        ids = {name: i for i, name in enumerate(tokens) if kinds[i] == USER_DEFINED}
        self._ids = dict(sorted(ids.items(), key=lambda one: -len(one[0].encode())))
        self._any = re.compile("|".join(map(re.escape, self._ids)) or "(?!)")
        self._rule = rule

    def encode(self, text: str) -> list[int]:
        """The ids of a text; names of control tokens in it are text."""
        return [i for part in self._parts(text) for i in self._of(part)]

    def _parts(self, text: str) -> Iterator[str | int]:
        parts: list[str | int] = [text]
        for name in self._ids if self._any.search(text) else ():
            parts = [cut for part in parts for cut in self._cut(part, name)]
        yield from (part for part in parts if part != "")

    def _cut(self, part: str | int, name: str) -> Iterator[str | int]:
        if isinstance(part, int):
            yield part
            return
        first, *others = part.split(name)
        yield first
        for other in others:
            yield self._ids[name]
            yield other

    def _of(self, part: str | int) -> list[int]:
        return [part] if isinstance(part, int) else self._rule(part)


def sentencepiece_rule(proto: Any) -> Rule:
    """The best-scored pair first; of equal ones the leftmost."""
    return Llamacpp(proto).encode


def byte_rule(file: Gguf, split: Split, merges: Sequence[tuple[str, str]]) -> Rule:
    """The pair whose merge stands first, inside the parts of a text."""
    ids: Mapping[str, int] = {t: i for i, t in enumerate(file.metadata["tokenizer.ggml.tokens"])}
    ranks = {pair: rank for rank, pair in reversed(list(enumerate(merges)))}
    cut = split.pre_tokenizer()
    known: dict[str, list[int]] = {}

    def word(letters: str) -> list[int]:
        if split.whole and letters in ids:
            return [ids[letters]]
        found = [one if one in ids else list(one) for one in merge_bytes(letters, ranks)]
        parts = (one for part in found for one in ([part] if isinstance(part, str) else part))
        return [ids[one] for one in parts if one in ids]  # a byte without a token is lost

    def encode(text: str) -> list[int]:
        found = list[int]()
        text = normalize("NFC", text) if split.composed else text
        for letters, _ in cut.pre_tokenize_str(text):
            if letters not in known:
                known[letters] = word(letters)
            found += known[letters]
        return found

    return encode
