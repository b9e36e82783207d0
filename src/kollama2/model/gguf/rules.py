"""Rules: what a GGUF file itself says about texts and ids, in plain Python, to check others by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from unicodedata import normalize

from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.splits import Split
from kollama2.model.merging import Apart, merge_bytes

Rule = Callable[[str], list[int]]


def byte_rule(
    file: Gguf, split: Split, merges: Sequence[tuple[str, str]], whole: Iterable[str]
) -> Rule:
    """The pair whose merge stands first, inside the parts of a text.

    Args:
        file: its tokens are the ids.
        split: how it cuts texts into parts.
        merges: in their order.
        whole: tokens that are looked for before that; names of control tokens are text.
    """
    ids: Mapping[str, int] = {t: i for i, t in enumerate(file.metadata["tokenizer.ggml.tokens"])}
    apart = Apart(whole)
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
        for part, name in apart.split(text):
            if name:
                found.append(ids[part])
                continue
            part = normalize("NFC", part) if split.composed else part
            for letters, _ in cut.pre_tokenize_str(part):
                if letters not in known:
                    known[letters] = word(letters)
                found += known[letters]
        return found

    return encode
