"""Vocabulary: a folder's tokenizer as a GGUF's keys, under the rule that llama.cpp has for it."""

import json
import re
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens, token_named
from kollama2.model.fast import of_characters, read_fast
from kollama2.model.files import PIECES, TOKENIZER_CONFIG, read_json
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.splits import SPLITS, Split
from kollama2.model.pieces import (
    CONTROL,
    NORMAL,
    SPACE,
    UNUSED,
    USER_DEFINED,
    read_pieces,
)
from kollama2.model.probe import mixed_lines
from kollama2.model.rebuild import rebuilt

# One name for each way to cut; llama.cpp knows others that mean the same.
_NAMES = ("gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "gpt-4o", "tekken")
_PROBES = 400


def tokenizer_keys(folder: ModelFolder, rows: int) -> dict[str, Any]:
    """What a file says of a tokenizer, without `tokenizer.ggml` in front.

    Args:
        folder: the model folder.
        rows: of its embeddings, which is how many tokens the file has; those without a text are
            marked as unused.

    Raises:
        BadData: its kind is not one of llama.cpp's.
    """
    place, tokenizer = folder.tokenizer_path, folder.tokenizer
    pieces = tokenizer.source == PIECES
    if pieces or of_characters(place):
        proto = read_pieces(place) if pieces else rebuilt(place)
        tokens = {i: (one.piece, int(one.type)) for i, one in enumerate(proto.pieces)}
        scores = {i: one.score for i, one in enumerate(proto.pieces)}
        prefix = bool(proto.normalizer_spec.add_dummy_prefix)
        said: dict[str, Any] = {"model": "llama", "pre": "default", "add_space_prefix": prefix}
    else:
        tree = read_fast(place)
        tokens = {i: (name, NORMAL) for name, i in tree["model"]["vocab"].items()}
        scores = {}
        merges = [" ".join(pair) for pair in tree["model"]["merges"]]
        said = {"model": "gpt2", "pre": _cut_of(folder), "merges": merges}
    for name, one in added_tokens(place).items():
        tokens[one.id] = (name, CONTROL if one.special else USER_DEFINED)
    # llama.cpp looks such tokens up before it turns spaces, and names an unknown token by its id.
    shown = {
        i: (name.replace(SPACE, " ") if kind == USER_DEFINED and scores else name, kind)
        for i, (name, kind) in tokens.items()
    }
    every = [shown.get(i, (f"[PAD{i}]", UNUSED)) for i in range(rows)]
    said |= {"tokens": [name for name, _ in every], "token_type": [kind for _, kind in every]}
    if scores:
        said["scores"] = [float(scores.get(i, -1000.0)) for i in range(rows)]
    return said | _named(folder) | {"add_bos_token": tokenizer.bos_id is not None}


def _named(folder: ModelFolder) -> dict[str, int]:
    """The ids of tokens by their parts; those that end a turn too."""
    config, special = read_json(folder.tokenizer_path / TOKENIZER_CONFIG), folder.tokenizer.special
    found: dict[str, int] = {"eos_token_id": folder.tokenizer.eos_id}
    for part, usual, key in (
        ("bos", "<s>", "bos"),
        ("unk", "<unk>", "unknown"),
        ("pad", "<pad>", "padding"),
    ):
        name = token_named(config, part) or usual
        if name in special:
            found[f"{key}_token_id"] = special[name]
    if folder.tokenizer.bos_id is not None:
        found["bos_token_id"] = folder.tokenizer.bos_id
    others = [i for i in folder.stop_ids if i != folder.tokenizer.eos_id]
    return found | dict(zip(("eot_token_id", "eom_token_id"), others, strict=False))


def _cut_of(folder: ModelFolder) -> str:
    """llama.cpp's name of the way in which a byte-level tokenizer cuts texts before it merges.

    What transformers makes of the folder counts: for some classes it builds the pipeline anew.

    Raises:
        BadData: it has no name for it.
    """
    fast = folder.plain_tokenizer.backend_tokenizer
    cut, tree = fast.pre_tokenizer, json.loads(fast.to_str())
    lines = [re.sub(r"<[^>]*>", "", line) for line in mixed_lines(_PROBES)]
    wanted = [[part for part, _ in cut.pre_tokenize_str(line)] for line in lines] if cut else []
    whole = bool(tree["model"].get("ignore_merges"))
    composed = "NFC" in str(tree.get("normalizer"))

    def same(split: Split) -> bool:
        parts = split.pre_tokenizer()
        return wanted == [[part for part, _ in parts.pre_tokenize_str(line)] for line in lines]

    def unlike(name: str) -> int:
        return (SPLITS[name].whole != whole) + (SPLITS[name].composed != composed)

    fitting = [name for name in _NAMES if same(SPLITS[name])]
    if not fitting:
        raise BadData(
            f"{folder.tokenizer_path} cuts texts in a way of its own before it merges, for which "
            f"llama.cpp has no name (it has those of {', '.join(_NAMES)}); export it with --to hf"
        )
    return min(fitting, key=unlike)
