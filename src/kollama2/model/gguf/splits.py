"""Splits: how the byte-level tokenizers that GGUF files name cut a text before they merge.

The expressions are those of the models' own tokenizers. llama.cpp writes two of them (tekken,
gpt-4o) in another way, which differs on letters with marks, never on Korean or English.
"""

from typing import Any, NamedTuple


class Split(NamedTuple):
    """How a text is cut.

    Attributes:
        expressions: each cuts what the one before left whole.
        whole: a part that is a token stays one, whatever its merges.
        begins: BOS stands before a text where the file does not say it.
        composed: the models' own tokenizer composes texts (NFC), which llama.cpp leaves out.
    """

    expressions: tuple[str, ...]
    whole: bool = False
    begins: bool = False
    composed: bool = False

    def pre_tokenizer(self) -> Any:
        """As the tokenizers library has it."""
        from tokenizers import Regex, pre_tokenizers

        cuts = [pre_tokenizers.Split(Regex(one), "isolated") for one in self.expressions]
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([*cuts, letters])


_ENDINGS = "'s|'t|'re|'ve|'m|'ll|'d"
_SPACES = r"\s+(?!\S)|\s+"
_GPT2 = rf"{_ENDINGS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{_SPACES}"
_MARKS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _words(digits: str) -> str:
    """GPT-4's cut with so many digits at once."""
    return rf"(?i:{_ENDINGS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}|{_MARKS}|{_SPACES}"


def _cased(digits: str, endings: str) -> str:
    """GPT-4o's cut, which also cuts where small letters turn to capitals."""
    before = r"[^\r\n\p{L}\p{N}]?"
    words = f"{before}{_UPPER}*{_LOWER}+{endings}|{before}{_UPPER}+{_LOWER}*{endings}"
    marks = _MARKS.replace(r"[\r\n]*", r"[\r\n/]*")
    return f"{words}|{digits}|{marks}|{_SPACES}"


_THREE, _ONE = r"\p{N}{1,3}", r"\p{N}"
_PLAIN = Split((_GPT2,))
_DIGITS = Split((_ONE, _GPT2))
_LLAMA3 = Split((_words(_THREE),), whole=True, begins=True)
_GPT4 = Split((_words(_THREE),))
_QWEN = Split((_words(_ONE),), composed=True)
_GPT4O = Split((_cased(_THREE, f"(?i:{_ENDINGS})?"),))
_TEKKEN = Split((_cased(_ONE, ""),), whole=True, begins=True)

SPLITS = {
    **dict.fromkeys(("gpt-2", "olmo", "mpt", "exaone4", "a.x-4.0", "trillion"), _PLAIN),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "exaone"), _DIGITS),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "midm-2.0"), _LLAMA3),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _GPT4),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), _QWEN),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2"), _GPT4O),
    "tekken": _TEKKEN,
}
"""By the name that `tokenizer.ggml.pre` gives."""
