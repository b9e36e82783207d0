"""Runtimes: one tokenizer as several programs read it, each with texts in and ids out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kollama2.model.bytelevel import ByteLevel, as_bytes
from kollama2.model.files import FAST
from kollama2.model.merging import Apart, Llamacpp
from kollama2.model.pieces import BYTE, NORMAL, SPACE, USER_DEFINED, processor
from kollama2.model.rebuild import is_sentencepiece, pieces_or_rebuilt
from kollama2.model.tokenizer import as_filed, filed

Encode = Callable[[Sequence[str]], list[list[int]]]
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Runtimes:
    """The programs that read a tokenizer's folder.

    Attributes:
        encoders: by name, the first is the reference; none turns content into control tokens.
        decode: of the reference.
        pieces: the text of each id's piece, as it stands in the vocabulary.
        widths: how many bytes of text each id covers.
    """

    encoders: Mapping[str, Encode]
    decode: Decode
    pieces: Sequence[str]
    widths: Sequence[int] = ()

    @property
    def encode(self) -> Encode:
        """The reference."""
        return next(iter(self.encoders.values()))


def runtimes(folder: Path) -> Runtimes:
    """The programs that read a folder's tokenizer.

    Raises:
        BadData: it has none, or one that does not merge pairs.
    """
    return _sentencepiece(folder) if is_sentencepiece(folder) else _bytes(folder)


def _sentencepiece(folder: Path) -> Runtimes:
    """SentencePiece, llama.cpp's rule, and the tokenizers library where it has a file."""
    proto = pieces_or_rebuilt(folder)
    model, rule = processor(proto), Llamacpp(proto)
    encoders: dict[str, Encode] = {
        "SentencePiece": lambda texts: list(model.encode(list(texts))),
        "llama.cpp": lambda texts: [rule.encode(text) for text in texts],
    }
    if (folder / FAST).is_file():
        encoders["tokenizers"] = as_filed(folder)
    widths = [_width(one) for one in proto.pieces]
    return Runtimes(encoders, model.decode, [one.piece for one in proto.pieces], widths)


def _width(piece: Any) -> int:
    if piece.type == BYTE:
        return 1
    text = piece.piece.replace(SPACE, " ")
    return len(text.encode()) if piece.type in (NORMAL, USER_DEFINED) else 0


def _bytes(folder: Path) -> Runtimes:
    """The tokenizers library, and llama.cpp's rule: the pair whose merge stands first."""
    model, fast = ByteLevel(folder), filed(folder)
    known: dict[str, list[int]] = {}
    names = Apart(model.ordinary)

    def word(letters: str) -> list[int]:
        text = as_bytes(letters)
        if model.whole and text in model.ids:
            return [model.ids[text]]
        return [model.ids[token] for token in model.merge(text)]

    def rule(text: str) -> list[int]:
        ids = list[int]()
        for part, name in names.split(text):
            if name:
                ids.append(model.added[part])
                continue
            for letters, _ in fast.pre_tokenizer.pre_tokenize_str(part):
                if letters not in known:
                    known[letters] = word(letters)
                ids += known[letters]
        return ids

    widths = {i: len(token) for token, i in model.ids.items()}
    widths |= {model.added[name]: len(name.encode()) for name in model.ordinary}
    pieces = {i: name for name, i in fast.get_vocab().items()}
    return Runtimes(
        {
            "tokenizers": as_filed(folder),
            "llama.cpp": lambda texts: [rule(text) for text in texts],
        },
        fast.decode,
        [pieces.get(i, "") for i in range(model.size)],
        [widths.get(i, 0) for i in range(model.size)],
    )
