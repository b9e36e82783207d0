"""`tokenizer.json` as a tree: read with merges as pairs, extended in its own pipeline, written."""

from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.files import FAST, read_json
from kollama2.model.pieces import SPACE, merges_of, write_tree


def read_fast(folder: Path) -> dict[str, Any]:
    """The tree of a folder's `tokenizer.json`, its merges as pairs.

    Raises:
        BadData: there is none, or it is not BPE.
    """
    tree = read_json(folder / FAST)
    model = tree.get("model") or {}
    if model.get("type", "BPE") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise BadData(f"{folder / FAST} is not a byte-level BPE tokenizer or SentencePiece's BPE")
    pairs = (one.split(" ") if isinstance(one, str) else one for one in model.get("merges", []))
    model["merges"] = [list(pair) for pair in pairs]
    return tree


def of_characters(folder: Path) -> bool:
    """Whether the merges of a `tokenizer.json` join characters, not bytes: SentencePiece's BPE."""
    return bool(read_fast(folder)["model"].get("byte_fallback"))


def extend_fast(folder: Path, proto: Any, first: int) -> None:
    """Put the pieces of a model from an id on into the `tokenizer.json` of a folder.

    Its pipeline stays as it is. Pieces of white space alone that merge last of all still do, as
    they do in the model.

    Args:
        folder: holds the file.
        proto: from `read_pieces`, with new pieces behind the old ones.
        first: id of the first new one.
    """
    tree = read_fast(folder)
    model = tree["model"]
    # The library numbers an added token anew unless the vocabulary says which id it has.
    model["vocab"] |= {name: one.id for name, one in added_tokens(folder).items()}
    model["vocab"] |= {one.piece: first + i for i, one in enumerate(proto.pieces[first:])}
    vocab = {one.piece: i for i, one in enumerate(proto.pieces)}
    new = [list(pair) for pair in merges_of(proto, vocab) if vocab[pair[0] + pair[1]] >= first]
    end = spaces_last(model["merges"])
    model["merges"][end:end] = new
    write_tree(folder, tree)


def spaces_last(merges: list[list[str]]) -> int:
    """Where the merges begin that come last of all and make white space alone, as in Llama 2."""
    end = len(merges)
    while end and not "".join(merges[end - 1]).strip(SPACE):
        end -= 1
    return end
