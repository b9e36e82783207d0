"""Tokenizer: the reference's class of this name, on the project's one tokenizer."""

from collections.abc import Sequence
from pathlib import Path

from kollama2.llama.faults import Outside, Unmet
from kollama2.model.tokenizer import Tokenizer as Contents
from kollama2.model.tokenizer import load_sentencepiece, load_tokenizer


class Tokenizer:
    """Text to ids and back, with BOS and EOS where the caller asks for them.

    Args:
        model_path: a SentencePiece `tokenizer.model`, or a Hugging Face folder.

    Attributes:
        n_words: size of the vocabulary.
        bos_id: begins a text; 1 for Llama 2.
        eos_id: ends a text; 2 for Llama 2.
        pad_id: -1 as in the reference: no token.
        contents: the tokenizer that encodes contents and never makes a control token of them.

    Raises:
        Unmet: there is no such file.
        BadData: it is no tokenizer.
    """

    def __init__(self, model_path: str | Path) -> None:
        path = Path(model_path)
        if not path.exists():
            raise Unmet(f"{model_path} is not there; name the tokenizer.model of the checkpoint")
        self.contents: Contents = (
            load_tokenizer(path) if path.is_dir() else load_sentencepiece(path)
        )
        self.n_words: int = self.contents.vocab_size
        self.bos_id = self.contents.bos_id
        self.eos_id: int = self.contents.eos_id
        self.pad_id = -1

    def encode(self, s: str, bos: bool, eos: bool) -> list[int]:
        """Encode a text; `<s>` and `</s>` in it are text.

        Args:
            s: the text; exactly a `str`.
            bos: put BOS before it.
            eos: put EOS after it.

        Raises:
            Unmet: `s` is no string.
        """
        if type(s) is not str:
            raise Unmet(f"only a str can be encoded, got {type(s).__name__}")
        before = [self.bos_id] if bos and self.bos_id is not None else []
        return [*before, *self.contents.encode(s), *([self.eos_id] if eos else [])]

    def decode(self, t: Sequence[int] | int) -> str:
        """Return the text of ids; of a single id, its piece without the space before it.

        Raises:
            Outside: an id is not in the vocabulary, for example the padding -1.
        """
        ids = [t] if isinstance(t, int) else list(t)
        for one in ids:
            if not 0 <= one < self.n_words:
                raise Outside(f"the id {one} is outside of the {self.n_words} ids of the tokenizer")
        return self.contents.decode(ids)
