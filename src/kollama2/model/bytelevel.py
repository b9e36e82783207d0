"""Byte-level BPE: a `tokenizer.json` of merges of bytes (Llama 3, Qwen), read as bytes."""

from collections.abc import Iterator
from pathlib import Path

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.fast import read_fast
from kollama2.model.files import FAST
from kollama2.model.merging import merge_bytes
from kollama2.model.pieces import write_tree


class ByteLevel:
    """The byte-level BPE of a folder's `tokenizer.json`, as bytes.

    Attributes:
        ids: each token's id.
        added: each added token's id.
        ordinary: those of them that stand for their text, and are looked for before all merges.
        ranks: the rank of each pair that merges.
        whole: whether a word that is a token stays one, whatever its merges say.

    Raises:
        BadData: the file is no such tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        added = added_tokens(folder)
        self.added = {name: one.id for name, one in added.items()}
        self.ordinary = [name for name, one in added.items() if not one.special]
        try:
            self._tree = read_fast(folder)
            model = self._tree["model"]
            vocab: dict[str, int] = model["vocab"]
            self.ids = {as_bytes(t): i for t, i in vocab.items() if self.added.get(t) != i}
            self.ranks = {
                (as_bytes(a), as_bytes(b)): rank for rank, (a, b) in enumerate(model["merges"])
            }
        except (ValueError, KeyError, TypeError) as error:
            path = folder / FAST
            raise BadData(f"{path} is not a byte-level BPE tokenizer: {error!r}") from error
        self.whole = bool(model.get("ignore_merges"))
        self.size = 1 + max([*self.ids.values(), *self.added.values()])

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

    def write(self, folder: Path) -> None:
        """Write `tokenizer.json` with merges in the order of the ids that they make."""
        model = self._tree["model"]
        tokens = sorted(self.ids.items(), key=lambda one: one[1])
        new = len(model["merges"])
        # The library numbers an added token anew unless the vocabulary says which id it has.
        model["vocab"] = {**{as_letters(token): i for token, i in tokens}, **self.added}
        merges = sorted(self.ranks.items(), key=lambda one: one[1])[new:]
        merges.sort(key=lambda one: self.ids[one[0][0] + one[0][1]])
        model["merges"] += [[as_letters(a), as_letters(b)] for (a, b), _ in merges]
        write_tree(folder, self._tree)


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
