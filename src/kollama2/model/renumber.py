"""Renumber: the files of a tokenizer with fewer tokens, each under its new id everywhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kollama2.model.fast import read_fast
from kollama2.model.files import (
    CONFIG,
    FAST,
    GENERATION,
    PIECES,
    TOKENIZER_CONFIG,
    read_json,
    write_json,
)
from kollama2.model.pieces import read_pieces, write_pieces, write_tree
from kollama2.model.tokenizer import reads_pieces

Ids = Mapping[int, int]
_NAMES_IDS = re.compile(r"_token_(id|ids|index)$|^(begin_)?suppress_tokens$|^bad_words_ids$")
_OLD_FORMS = ("vocab.json", "merges.txt")


def renumber(folder: Path, ids: Ids) -> None:
    """Take tokens out of all files of a tokenizer's folder, its configurations too.

    Args:
        folder: changed in place.
        ids: the new id of each token that stays, without gaps and in the old order.
    """
    if (folder / FAST).is_file():
        if not reads_pieces(folder):
            (folder / PIECES).unlink(missing_ok=True)  # nobody reads it
        _fast(folder, ids)
    if (folder / PIECES).is_file():
        _pieces(folder, ids)
    path = folder / TOKENIZER_CONFIG
    tree = read_json(path)
    if added := tree.get("added_tokens_decoder"):
        tree["added_tokens_decoder"] = {str(ids[int(i)]): one for i, one in added.items()}
        write_json(path, tree)
    path = folder / "added_tokens.json"
    if path.is_file():
        write_json(path, {name: ids[i] for name, i in read_json(path).items()})
    for name in _OLD_FORMS:
        (folder / name).unlink(missing_ok=True)
    renumber_config(folder, ids)


def renumber_config(folder: Path, ids: Ids) -> None:
    """Write new ids, and the number of rows, into the configurations of a model folder."""
    for name in (CONFIG, GENERATION):
        if tree := read_json(folder / name):
            changed = _renamed(tree, ids)
            text = changed.get("text_config", changed)
            if "vocab_size" in text:
                text["vocab_size"] = len(ids)
            write_json(folder / name, changed)


def named_ids(folder: Path) -> set[int]:
    """The ids that the configurations of a model folder name."""
    found = set[int]()

    class Seen(dict[int, int]):
        def get(self, key: int, default: Any = None) -> Any:
            found.add(key)
            return default

    for name in (CONFIG, GENERATION):
        _renamed(read_json(folder / name), Seen())
    return {i for i in found if i >= 0}


def _renamed(tree: Any, ids: Ids, *, names: bool = False) -> Any:
    """A tree whose entries that name ids name the new ones; -1 and None stay."""
    if isinstance(tree, dict):
        return {
            key: _renamed(value, ids, names=bool(_NAMES_IDS.search(key)))
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_renamed(one, ids, names=names) for one in tree]
    number = names and isinstance(tree, int) and not isinstance(tree, bool)
    return ids.get(tree, tree) if number else tree


def _fast(folder: Path, ids: Ids) -> None:
    tree = read_fast(folder)
    model = tree["model"]
    vocab = {name: ids[i] for name, i in model["vocab"].items() if i in ids}
    model["vocab"] = vocab
    model["merges"] = [
        [left, right] for left, right in model["merges"]
        if left in vocab and right in vocab and left + right in vocab
    ]  # fmt: skip
    for one in tree.get("added_tokens") or []:
        one["id"] = ids[one["id"]]
        # The library numbers an added token anew unless the vocabulary says which id it has.
        vocab[one["content"]] = one["id"]
    if tree.get("padding"):
        tree["padding"]["pad_id"] = ids[tree["padding"]["pad_id"]]
    _processor(tree.get("post_processor") or {}, ids)
    write_tree(folder, tree)


def _processor(tree: dict[str, Any], ids: Ids) -> None:
    """What puts BOS and the like around a text: by template, or by pairs of token and id."""
    for one in tree.get("processors", []):
        _processor(one, ids)
    special = tree.get("special_tokens")
    for one in special.values() if isinstance(special, dict) else ():
        one["ids"] = [ids[i] for i in one["ids"]]
    for name in ("sep", "cls"):
        if name in tree:
            tree[name] = [tree[name][0], ids[tree[name][1]]]


def _pieces(folder: Path, ids: Ids) -> None:
    proto = read_pieces(folder)
    kept = [type(one).FromString(one.SerializeToString()) for one in proto.pieces]
    kept = [one for i, one in enumerate(kept) if i in ids]
    del proto.pieces[:]
    proto.pieces.extend(kept)
    spec = proto.trainer_spec
    for kind in ("unk", "bos", "eos", "pad"):
        i = getattr(spec, f"{kind}_id")
        setattr(spec, f"{kind}_id", ids.get(i, -1))
    spec.vocab_size = len(kept)
    write_pieces(proto, folder)
