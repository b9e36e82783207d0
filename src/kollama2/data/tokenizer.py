"""Tokenizer: content to ids and back, so that no content ever becomes a control token.

`tokenizer.model` is used through SentencePiece where it is present (several times faster and never
parses `<s>` out of a text), else `tokenizer.json` through the tokenizers library.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from kollama2.errors import BadData

# A private-use character that no vocabulary merges with its neighbours: what follows it is
# encoded as the middle of a text, without the dummy prefix of its start.
_FENCE = "\ue000"
_PROBES = (
    "The quick brown fox jumps over 12 lazy dogs.",
    "안녕하세요, 한국어 문장입니다.",
    "  two spaces\n\nand lines\t\ttabs",
    "Mixed 한글 and English: 3.14% 😀",
)
_MAX_PADDING = 1024


class _Backend(Protocol):
    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...
    def decode(self, ids: list[int]) -> str: ...


class _Pieces:
    """A SentencePiece model."""

    def __init__(self, path: Path) -> None:
        import sentencepiece

        try:
            self._model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise BadData(f"{path} is not a SentencePiece model: {error}") from error
        self.size: int = self._model.get_piece_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._model.encode(list(texts), out_type=int)
        return ids

    def decode(self, ids: list[int]) -> str:
        text: str = self._model.decode([i for i in ids if i < self.size])
        return text

    def names(self) -> dict[str, int]:
        return {
            self._model.id_to_piece(i): i
            for i in range(self.size)
            if self._model.is_control(i) or self._model.is_unknown(i)
        }


class _Json:
    """A `tokenizer.json` of the tokenizers library."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Fast

        model = _read_json(path).get("model")
        if not isinstance(model, dict) or "vocab" not in model:
            raise BadData(f"{path} is not a tokenizer of the tokenizers library: it has no model")
        self._fast = Fast.from_file(str(path))
        self._fast.encode_special_tokens = True
        self._fast.no_truncation()
        self._fast.no_padding()
        self.size: int = max(self._fast.get_vocab(with_added_tokens=True).values(), default=-1) + 1

        # Some put no dummy prefix before a text that begins with a space, which would then lose it.
        self._space = ""
        if self.encode([" x"]) == self.encode(["x"]):
            self._space = " "

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        texts = [self._space + text if text.startswith(" ") else text for text in texts]
        encoded = self._fast.encode_batch_fast(texts, add_special_tokens=False)
        return [one.ids for one in encoded]

    def decode(self, ids: list[int]) -> str:
        text: str = self._fast.decode(ids, skip_special_tokens=True)
        return text

    def names(self) -> dict[str, int]:
        added = self._fast.get_added_tokens_decoder()
        return {token.content: i for i, token in added.items() if token.special}


class Tokenizer:
    """Content to ids and back.

    Attributes:
        bos_id: the token that begins a sequence, None where the tokenizer has none.
        eos_id: the token that ends an answer.
        pad_id: fills batches; never `eos_id`, so that ending stays learnable.
        vocab_size: one more than the largest id.
        special: the control tokens by name; content never becomes one of them.
        dummy_prefix: whether a text begins with a space of the tokenizer's own.
        source: the file that is used, with the reason where there was a choice.
    """

    def __init__(self, backend: _Pieces | _Json, folder: Path, source: str) -> None:
        self._backend: _Backend = backend
        self.source = source
        config = _read_json(folder / "tokenizer_config.json")
        added = _added_tokens(folder, config)
        self.special = {
            **backend.names(),
            **{name: i for name, (i, special) in added.items() if special},
        }
        self.vocab_size = max([backend.size, *(i + 1 for i, _ in added.values())])
        model = _read_json(folder / "config.json")
        self.bos_id = self._named(config, model, "bos", ("<s>", "<|begin_of_text|>"))
        eos = self._named(config, model, "eos", ("</s>", "<|end_of_text|>", "<|endoftext|>"))
        if eos is None:
            raise BadData(
                f"the tokenizer in {folder} names no eos_token; add it to tokenizer_config.json"
            )
        self.eos_id: int = eos
        self.pad_id = self._padding(config, folder)
        # A tokenizer without byte fallback makes unknown characters <unk>; that is content.
        unknown = self._named(config, {}, "unk", ("<unk>",))
        self._control = frozenset(self.special.values()) - {unknown}
        start, middle, fence = self._backend.encode(["a", _FENCE + "a", _FENCE])
        self.dummy_prefix = middle[len(fence) :] != start
        self._fence_text = _FENCE if self.dummy_prefix else ""
        self._fence = len(fence) if self.dummy_prefix else 0

    def _named(
        self, config: dict[str, Any], model: dict[str, Any], kind: str, usual: Sequence[str]
    ) -> int | None:
        name = config.get(f"{kind}_token")
        name = name.get("content") if isinstance(name, dict) else name
        for candidate in ([name] if name else []) + list(usual if not name else ()):
            if candidate in self.special:
                return self.special[candidate]
        stated = model.get(f"{kind}_token_id")
        stated = stated[0] if isinstance(stated, list) and stated else stated
        return stated if isinstance(stated, int) else None

    def _padding(self, config: dict[str, Any], folder: Path) -> int:
        named = self._named(config, {}, "pad", ("<pad>", "[PAD]"))
        unknown = self._named(config, {}, "unk", ("<unk>",))
        spare = [i for name, i in self.special.items() if "pad" in name or "reserved" in name]
        for candidate in (named, unknown, *spare):
            if candidate is not None and candidate != self.eos_id:
                return candidate
        raise BadData(
            f"the tokenizer in {folder} has no token to pad with other than its eos_token; "
            "add a pad_token to it"
        )

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text` alone: no BOS, no EOS, no control token whatever it says."""
        return self.encode_batch([text])[0]

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
        if continuing is None:
            found = self._backend.encode(texts)
        else:
            marked = zip(texts, continuing, strict=True)
            fence = self._fence_text
            found = self._backend.encode([fence + t if go_on else t for t, go_on in marked])
            found = [
                ids[self._fence :] if go_on else ids
                for ids, go_on in zip(found, continuing, strict=True)
            ]
        for index, ids in enumerate(found):
            if not self._control.isdisjoint(ids):
                go_on = continuing is not None and continuing[index]
                found[index] = self._defused(texts[index], go_on)
        return found

    def _defused(self, text: str, go_on: bool) -> list[int]:
        """Encode a text that holds the name of a control token, cut inside of each such name."""
        names = [name for name in self.special if len(name) > 1]
        parts, rest = list[str](), text
        while rest:
            hits = [at for name in names if (at := rest.find(name)) >= 0]
            cut = min(hits) + 1 if hits else len(rest)
            parts.append(rest[:cut])
            rest = rest[cut:]
        fenced = [go_on or i > 0 for i in range(len(parts))]
        texts = [self._fence_text * f + part for part, f in zip(parts, fenced, strict=True)]
        found = list[int]()
        for ids, f in zip(self._backend.encode(texts), fenced, strict=True):
            found += ids[self._fence :] if f else ids
        return [one for one in found if one not in self._control]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids without control tokens; the inverse of `encode`."""
        hidden = self._control | {self.pad_id}
        return self._backend.decode([i for i in ids if i not in hidden])


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load the tokenizer of a model folder.

    `tokenizer.model` is taken where it agrees with `tokenizer.json` or stands alone.

    Raises:
        BadData: there is neither file, or it cannot be read.
    """
    folder = Path(folder)
    model, fast = folder / "tokenizer.model", folder / "tokenizer.json"
    if not model.is_file() and not fast.is_file():
        raise BadData(f"{folder} holds neither tokenizer.model nor tokenizer.json")
    if not model.is_file():
        return Tokenizer(_Json(fast), folder, "tokenizer.json")
    try:
        pieces = _Pieces(model)
    except BadData:
        # Llama 3 ships a tiktoken file under this name.
        if not fast.is_file():
            raise
        return Tokenizer(
            _Json(fast), folder, "tokenizer.json (tokenizer.model is not SentencePiece)"
        )
    if not fast.is_file():
        return Tokenizer(pieces, folder, "tokenizer.model")
    other = _Json(fast)
    if pieces.encode(_PROBES) == other.encode(_PROBES):
        return Tokenizer(pieces, folder, "tokenizer.model")
    reason = "tokenizer.json (tokenizer.model gives other ids; transformers uses the former)"
    return Tokenizer(other, folder, reason)


def load_sentencepiece(path: Path) -> Tokenizer:
    """Load one SentencePiece model, whatever other tokenizer lies beside it.

    Raises:
        BadData: it is not a SentencePiece model.
    """
    return Tokenizer(_Pieces(path), path.parent, path.name)


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


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadData(f"{path} holds no JSON object")
    return value


def _added_tokens(folder: Path, config: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """Return the tokens beside the vocabulary file: name to (id, is special)."""
    found = {name: (int(i), False) for name, i in _read_json(folder / "added_tokens.json").items()}
    for i, token in (config.get("added_tokens_decoder") or {}).items():
        found[token["content"]] = (int(i), bool(token.get("special")))
    return found
