"""Tokenizer: content to ids and back, so that no content ever becomes a control token.

`tokenizer.model` is used through SentencePiece where it is present (several times faster and never
parses `<s>` out of a text), else what transformers makes of the folder: for many classes it builds
the pipeline anew and ignores parts of `tokenizer.json`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens, token_named
from kollama2.model.files import (
    CONFIG,
    FAST,
    PIECES,
    TOKENIZER_CONFIG,
    TOKENIZER_FILES,
    copy_files,
    read_json,
)
from kollama2.model.pieces import processor, write_fast
from kollama2.model.reading import reading

# A private-use character that no vocabulary merges with its neighbours: what follows it is
# encoded as the middle of a text, without the dummy prefix of its start.
FENCE = "\ue000"
_PROBES = (
    "The quick brown fox jumps over 12 lazy dogs.",
    "안녕하세요, 한국어 문장입니다.",
    "  two spaces\n\nand lines\t\ttabs",
    "Mixed 한글 and English: 3.14% 😀",
)
_MAX_PADDING = 1024


class _Pieces:
    """A SentencePiece model."""

    adds = None
    listed = None

    def __init__(self, path: Path) -> None:
        with reading(path, "is not a SentencePiece model"):
            self._model = processor(path)
        self.size: int = self._model.get_piece_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._model.encode(list(texts), out_type=int)
        return ids

    def decode(self, ids: list[int]) -> str:
        text: str = self._model.decode([i for i in ids if i < self.size])
        return text

    def vocabulary(self) -> dict[str, int]:
        return {self._model.id_to_piece(i): i for i in range(self.size)}

    def names(self) -> dict[str, int]:
        return {
            self._model.id_to_piece(i): i
            for i in range(self.size)
            if self._model.is_control(i) or self._model.is_unknown(i)
        }


class _Json:
    """A tokenizer of the tokenizers library, as transformers reads it from a folder."""

    def __init__(self, folder: Path, *, as_filed: bool = False) -> None:
        self._path = path = folder / FAST
        tree = read_json(path)
        model = tree.get("model")
        if not isinstance(model, dict) or "vocab" not in model:
            raise BadData(f"{path} is not a tokenizer of the tokenizers library: it has no model")
        self.listed: list[dict[str, Any]] | None = tree.get("added_tokens") or []
        self._fast = filed(folder) if as_filed else _library(folder)
        self._fast.encode_special_tokens = True
        self._fast.no_truncation()
        self._fast.no_padding()
        vocab = self._fast.get_vocab(with_added_tokens=True)
        self.size: int = max(vocab.values(), default=-1) + 1
        added = self._fast.encode("a").ids[: -len(self._fast.encode("a", add_special_tokens=False))]
        self.adds: int | None = added[0] if added else None

        # Some put no dummy prefix before a text that begins with a space, which would then lose it.
        self._space = ""
        if self.encode([" x"]) == self.encode(["x"]):
            self._space = " "

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        texts = [self._space + text if text.startswith(" ") else text for text in texts]
        with reading(self._path, "cannot encode a text"):
            encoded = self._fast.encode_batch_fast(texts, add_special_tokens=False)
        return [one.ids for one in encoded]

    def decode(self, ids: list[int]) -> str:
        with reading(self._path, "cannot decode ids"):
            text: str = self._fast.decode(ids, skip_special_tokens=True)
        return text

    def vocabulary(self) -> dict[str, int]:
        found: dict[str, int] = self._fast.get_vocab(with_added_tokens=True)
        return found

    def names(self) -> dict[str, int]:
        added = self._fast.get_added_tokens_decoder()
        return {token.content: i for i, token in added.items() if token.special}


def _library(folder: Path) -> Any:
    """A tokenizer of its own that encodes as transformers would."""
    from tokenizers import Tokenizer as Fast

    if (folder / TOKENIZER_CONFIG).is_file() or (folder / CONFIG).is_file():
        return Fast.from_str(plain(folder).backend_tokenizer.to_str())
    return filed(folder)


def as_filed(folder: Path) -> Callable[[Sequence[str]], list[list[int]]]:
    """Contents to ids by the `tokenizer.json` of a folder as it stands; leading spaces are kept."""
    return _Json(folder, as_filed=True).encode


def filed(folder: Path) -> Any:
    """The `tokenizer.json` of a folder as it stands; transformers may read it otherwise."""
    from tokenizers import Tokenizer as Fast

    with reading(folder / FAST):
        return Fast.from_file(str(folder / FAST))


def plain(folder: Path, config: Path | None = None) -> Any:
    """The tokenizer of a model folder as transformers' AutoTokenizer reads it.

    A bare `tokenizer.model` gets a `tokenizer.json` with the same ids first: transformers' own
    conversion differs in rare cases.

    Args:
        folder: holds the tokenizer.
        config: a `config.json` that belongs to it, where the folder holds none (an adapter).

    Raises:
        BadData: transformers cannot read it.
    """
    from transformers import AutoTokenizer

    verdict = "holds a tokenizer that transformers cannot read"
    with _complete(folder, config) as whole, reading(folder, verdict):
        return AutoTokenizer.from_pretrained(whole, local_files_only=True, trust_remote_code=False)


@contextmanager
def _complete(folder: Path, config: Path | None) -> Iterator[Path]:
    """A folder that AutoTokenizer reads as we do; a copy where something is missing."""
    import tempfile

    bare = not (folder / FAST).is_file() and (folder / PIECES).is_file()
    if not bare and config is None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        own = Path(name)
        copy_files(folder, own, (*TOKENIZER_FILES, CONFIG))
        if config is not None:
            (own / CONFIG).write_bytes(config.read_bytes())
        if bare:
            write_fast(own, load_tokenizer(folder).bos_id)
        yield own


class Tokenizer:
    """Content to ids and back.

    Attributes:
        bos_id: the token that the tokenizer puts before a text; None where it puts none.
        eos_id: the token that ends a text.
        vocab_size: one more than the largest id.
        special: the control tokens by name; content never becomes one of them.
        dummy_prefix: whether a text begins with a space of the tokenizer's own.
        source: the file that is used, with the reason where there was a choice.
        folder: where it lies.
    """

    def __init__(self, backend: _Pieces | _Json, folder: Path, source: str) -> None:
        self._backend, self.source, self.folder = backend, source, folder
        config = read_json(folder / TOKENIZER_CONFIG)
        added = added_tokens(folder, backend.listed)
        self.special = {
            **backend.names(),
            **{name: one.id for name, one in added.items() if one.special},
        }
        self.vocab_size = max([backend.size, *(one.id + 1 for one in added.values())])
        model = read_json(folder / CONFIG)
        self.bos_id = self._bos(config, backend)
        eos = self._named(config, model, "eos", ("</s>", "<|end_of_text|>", "<|endoftext|>"))
        if eos is None:
            raise BadData(
                f"the tokenizer in {folder} names no eos_token; add it to tokenizer_config.json"
            )
        self.eos_id: int = eos
        # A tokenizer without byte fallback makes unknown characters <unk>; that is content.
        unknown = self._named(config, {}, "unk", ("<unk>",))
        ends = {self.eos_id, self.bos_id} - {None}
        self._control = frozenset(self.special.values()) - ({unknown} - ends)
        start, middle, fence = self._backend.encode(["a", FENCE + "a", FENCE])
        self.dummy_prefix = middle[len(fence) :] != start
        self._fence_text = FENCE if self.dummy_prefix else ""
        self._fence = len(fence) if self.dummy_prefix else 0

    def _bos(self, config: dict[str, Any], backend: _Pieces | _Json) -> int | None:
        """What the tokenizer itself puts in front; `config.json` has no say in it."""
        wanted = config.get("add_bos_token")
        if backend.adds is not None and wanted is not False:
            return backend.adds
        # SentencePiece folders of Llama's kind have always meant BOS where they did not say.
        found = wanted is None and config.get("bos_token", "to be found") is not None
        if wanted or (found and isinstance(backend, _Pieces)):
            return self._named(config, {}, "bos", ("<s>", "<bos>", "<|begin_of_text|>"))
        return None

    def _named(
        self, config: dict[str, Any], model: dict[str, Any], kind: str, usual: Sequence[str]
    ) -> int | None:
        name = token_named(config, kind)
        for candidate in [name] if name else usual:
            if candidate in self.special:
                return self.special[candidate]
        stated = model.get(f"{kind}_token_id")
        stated = stated[0] if isinstance(stated, list) and stated else stated
        return stated if isinstance(stated, int) else None

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text` alone: no BOS, no EOS, no control token whatever it says."""
        return self.encode_batch([text])[0]

    def begun(self, text: str) -> list[int]:
        """The ids of a text behind BOS, where the tokenizer puts it in front."""
        return [*([] if self.bos_id is None else [self.bos_id]), *self.encode(text)]

    def encode_batch(
        self, texts: Sequence[str], continuing: Sequence[bool] | None = None
    ) -> list[list[int]]:
        """Encode many texts at once.

        Args:
            texts: the contents.
            continuing: for each text whether it goes on after other text, so that it gets no
                dummy prefix; all begin where it is None.

        Returns:
            The ids of each text.
        """
        goes_on = [False] * len(texts) if continuing is None else continuing
        found = self._fenced(texts, goes_on)
        for index, ids in enumerate(found):
            if not self._control.isdisjoint(ids):
                found[index] = self._defused(texts[index], goes_on[index])
        return found

    def _fenced(self, texts: Sequence[str], goes_on: Sequence[bool]) -> list[list[int]]:
        """The ids of texts as the backend gives them, of those that go on without what begins."""
        marked = [self._fence_text * f + text for text, f in zip(texts, goes_on, strict=True)]
        found = zip(self._backend.encode(marked), goes_on, strict=True)
        return [ids[self._fence :] if f else ids for ids, f in found]

    def _defused(self, text: str, go_on: bool) -> list[int]:
        """Encode a text that holds the name of a control token, cut inside of each such name."""
        names = [name for name in self.special if len(name) > 1]
        parts, rest = list[str](), text
        while rest:
            hits = [at for name in names if (at := rest.find(name)) >= 0]
            cut = min(hits) + 1 if hits else len(rest)
            parts.append(rest[:cut])
            rest = rest[cut:]
        found = self._fenced(parts, [go_on or i > 0 for i in range(len(parts))])
        return [one for ids in found for one in ids if one not in self._control]

    def vocabulary(self) -> dict[str, int]:
        """The id of each token, by its name in the vocabulary."""
        return {**self._backend.vocabulary(), **self.special}

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids without control tokens; the inverse of `encode`."""
        return self._backend.decode([i for i in ids if i not in self._control])


def reads_pieces(folder: Path) -> bool:
    """Whether the ids of a folder are those of its `tokenizer.model`.

    They are where that agrees with `tokenizer.json` or stands alone.

    Raises:
        BadData: there is neither file, or it cannot be read.
    """
    return _pieces_of(folder) is not None


def _pieces_of(folder: Path) -> _Pieces | None:
    """The SentencePiece model that gives a folder's ids; None where `tokenizer.json` does."""
    model, fast = folder / PIECES, (folder / FAST).is_file()
    if not model.is_file():
        if not fast:
            raise BadData(f"{folder} holds neither {PIECES} nor {FAST}")
        return None
    try:
        pieces = _Pieces(model)
    except BadData:
        # Llama 3 ships a tiktoken file under this name.
        if not fast:
            raise
        return None
    agreed = not fast or pieces.encode(_PROBES) == _Json(folder, as_filed=True).encode(_PROBES)
    return pieces if agreed else None


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load the tokenizer of a model folder.

    Raises:
        BadData: it has none, or it cannot be read.
    """
    folder = Path(folder)
    why = f" ({PIECES} gives other ids or is none; transformers uses the former)"
    with reading(folder, "holds a tokenizer that cannot be used"):
        pieces = _pieces_of(folder)
        if pieces is not None:
            return Tokenizer(pieces, folder, PIECES)
        return Tokenizer(_Json(folder), folder, FAST + why * (folder / PIECES).is_file())


def load_sentencepiece(path: Path) -> Tokenizer:
    """Load one SentencePiece model, whatever other tokenizer lies beside it.

    Raises:
        BadData: it is not a SentencePiece model.
    """
    with reading(path, "cannot be used as a tokenizer"):
        return Tokenizer(_Pieces(path), path.parent, path.name)


def tokenizer_size(folder: Path) -> int:
    """One more than the highest id the tokenizer files of a folder can give; 0 without files."""
    size, listed = 0, None
    if (folder / FAST).is_file():
        tree = read_json(folder / FAST)
        listed = tree.get("added_tokens") or []
        vocab = (tree.get("model") or {}).get("vocab") or []
        size = 1 + max(vocab.values(), default=-1) if isinstance(vocab, dict) else len(vocab)
    elif (folder / PIECES).is_file():
        size = _Pieces(folder / PIECES).size
    return max([size, *(1 + one.id for one in added_tokens(folder, listed).values())])


def check_matches(tokenizer: Tokenizer, vocab_size: int) -> None:
    """Refuse a tokenizer that does not belong to a model.

    Args:
        tokenizer: the tokenizer.
        vocab_size: rows of the embedding (`vocab_size` of config.json); a little padding is fine.

    Raises:
        BadData: more tokens than rows, or far fewer.
    """
    spare = vocab_size - tokenizer.vocab_size
    if spare < 0 or spare > min(_MAX_PADDING, max(127, tokenizer.vocab_size // 32)):
        raise BadData(
            f"the tokenizer has {tokenizer.vocab_size} tokens but the model has {vocab_size} "
            "embedding rows; use the tokenizer that belongs to the model, or resize the model"
        )
