"""Runtimes: one tokenizer as several programs read it, each with texts in and ids out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kollama2.model.merging import Llamacpp, merge_bytes
from kollama2.vocab.learn import SPACE
from kollama2.vocab.splice import ByteLevel, as_bytes

_NORMAL, _BYTE = 1, 6
Encode = Callable[[Sequence[str]], list[list[int]]]
Decode = Callable[[list[int]], str]


class Runtimes:
    """The programs that read a tokenizer's folder.

    Attributes:
        encoders: by name, the first is the reference; none turns content into control tokens.
        decode: of the reference.
        pieces: the text of each id's piece, as it stands in the vocabulary.
        widths: how many bytes of text each id covers.
    """

    def __init__(
        self,
        encoders: dict[str, Encode],
        decode: Decode,
        pieces: Sequence[str],
        widths: Sequence[int],
    ) -> None:
        self.encoders = encoders
        self.decode = decode
        self.pieces = pieces
        self.widths = widths

    @property
    def encode(self) -> Encode:
        """The reference."""
        return next(iter(self.encoders.values()))


def sentencepiece_runtimes(folder: Path, proto: Any) -> Runtimes:
    """SentencePiece, the tokenizers library on `tokenizer.json`, and llama.cpp's rule."""
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    rule = Llamacpp(proto)
    encoders: dict[str, Encode] = {
        "SentencePiece": lambda texts: list(model.encode(list(texts))),
        "llama.cpp": lambda texts: [rule.encode(text) for text in texts],
    }
    if (folder / "tokenizer.json").is_file():
        encoders["tokenizers"] = _encode(_load(folder / "tokenizer.json"))
    widths = [_width(one) for one in proto.pieces]
    return Runtimes(encoders, model.decode, [one.piece for one in proto.pieces], widths)


def _width(piece: Any) -> int:
    if piece.type == _BYTE:
        return 1
    return len(piece.piece.replace(SPACE, " ").encode()) if piece.type == _NORMAL else 0


def byte_runtimes(folder: Path) -> Runtimes:
    """The tokenizers library, and llama.cpp's rule: the pair whose merge stands first."""
    model = ByteLevel(folder / "tokenizer.json")
    fast = _load(folder / "tokenizer.json")
    whole = bool(model.tree["model"].get("ignore_merges"))

    def merging(ranks: Mapping[tuple[bytes, bytes], int]) -> Encode:
        known: dict[str, list[int]] = {}

        def word(letters: str) -> list[int]:
            text = as_bytes(letters)
            if whole and text in model.ids:
                return [model.ids[text]]
            return [model.ids[token] for token in merge_bytes(text, ranks)]

        def encode(text: str) -> list[int]:
            ids = list[int]()
            for letters, _ in fast.pre_tokenizer.pre_tokenize_str(text):
                if letters not in known:
                    known[letters] = word(letters)
                ids += known[letters]
            return ids

        return lambda texts: [encode(text) for text in texts]

    widths = {i: len(token) for token, i in model.ids.items()}
    names = {i: name for name, i in fast.get_vocab().items()}
    return Runtimes(
        {
            "tokenizers": _encode(fast),
            "llama.cpp": merging(model.ranks),
        },
        fast.decode,
        [names.get(i, "") for i in range(model.size)],
        [widths.get(i, 0) for i in range(model.size)],
    )


def _load(path: Path) -> Any:
    from tokenizers import Tokenizer

    fast = Tokenizer.from_file(str(path))
    fast.encode_special_tokens = True
    return fast


def _encode(fast: Any) -> Encode:
    return lambda texts: [
        one.ids for one in fast.encode_batch_fast(list(texts), add_special_tokens=False)
    ]
