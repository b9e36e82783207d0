"""Prune: a tokenizer without the tokens of scripts that its users do not write.

After Optimizing Korean-Centric LLMs via Token Pruning (arXiv 2604.16235). What stays is every token
that can stand in a text of the languages that are kept, wherever it begins in a character. That set
holds the parts of each of its tokens, so no merge of such a text is missing, none comes in another
order, and the text has the same tokens as before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.bytelevel import ByteLevel
from kollama2.model.fast import read_fast
from kollama2.model.files import PIECES
from kollama2.model.handover import copy_tokenizer
from kollama2.model.pieces import NORMAL, SPACE, read_pieces
from kollama2.model.probe import HARD, korean_lines, unchanged_lines
from kollama2.model.rebuild import is_sentencepiece
from kollama2.model.renumber import named_ids, renumber
from kollama2.model.tokenizer import reads_pieces
from kollama2.vocab.changes import changes, mapped, shown
from kollama2.vocab.runtimes import runtimes
from kollama2.vocab.scripts import Alphabet
from kollama2.vocab.settings import PruneSettings

PRUNING = "pruning.json"


_Tokens: TypeAlias = tuple[set[int], dict[int, bytes]]
"""Ids that must stay, and the texts of the others by their id."""


def prune(folder: Path, out: Path, settings: PruneSettings) -> dict[str, Any]:
    """Write a tokenizer with fewer tokens under new ids, all files of its folder, `pruning.json`.

    Byte tokens and added tokens stay, and what the folder's configurations name.

    Args:
        folder: holds the tokenizer.
        out: an existing folder.
        settings: the languages that are kept.

    Returns:
        Counts.

    Raises:
        BadData: it is not BPE that falls back to bytes, or the smaller tokenizer fails its audit.
    """
    alphabet = Alphabet(settings.keep)
    own, texts = _pieces(folder) if is_sentencepiece(folder) else _merged(folder)
    fixed = own | {one.id for one in added_tokens(folder).values()} | named_ids(folder)
    kept = sorted(fixed | {i for i, text in texts.items() if alphabet.holds(text)})
    ids = {old: new for new, old in enumerate(kept)}
    copy_tokenizer(folder, out)
    renumber(out, ids)

    hard = [*HARD, *korean_lines(1000)]
    lines = [*hard, *unchanged_lines()]
    lines += [text.decode(errors="ignore") for text in texts.values()]
    same = [line for line in lines if alphabet.writes(line)]
    for fault in (
        *changes(folder, out, same, lines, ids),
        *_otherwise(folder, out, [line for line in hard if alphabet.writes(line)], ids),
    ):
        raise BadData(f"the smaller tokenizer fails its audit: {fault}")
    about = {
        "keep": list(settings.keep),
        "size": len(kept),
        "removed": len(fixed | set(texts)) - len(kept),
        "same": len(same),
        "lines": len(lines),
    }
    content = json.dumps({**about, "kept": kept}, ensure_ascii=False)
    (out / PRUNING).write_text(content + "\n", encoding="utf-8")
    return about


def _pieces(folder: Path) -> _Tokens:
    """The pieces of a SentencePiece tokenizer, in whichever file."""
    if not reads_pieces(folder):
        vocab = read_fast(folder)["model"]["vocab"]
        return set(), {i: name.replace(SPACE, " ").encode() for name, i in vocab.items()}
    proto = read_pieces(folder)
    if not proto.trainer_spec.byte_fallback:
        raise BadData(
            f"{folder / PIECES} has no pieces for bytes, so that a text in a script without pieces "
            "would be lost; such a tokenizer cannot be pruned"
        )
    normal = {i: one.piece for i, one in enumerate(proto.pieces) if one.type == NORMAL}
    texts = {i: name.replace(SPACE, " ").encode() for i, name in normal.items()}
    return set(range(len(proto.pieces))) - set(texts), texts


def _merged(folder: Path) -> _Tokens:
    """The tokens of a byte-level tokenizer."""
    model = ByteLevel(folder)
    texts = {i: token for token, i in model.ids.items()}
    return {i for i, token in texts.items() if len(token) == 1}, texts


def _otherwise(old: Path, new: Path, lines: Sequence[str], ids: Mapping[int, int]) -> Iterator[str]:
    """Programs that read the smaller tokenizer otherwise than the old one."""
    before, after = runtimes(old).encoders, runtimes(new).encoders
    for name, encode in before.items():
        expected, found = encode(lines), after[name](lines)
        for line, was, now in zip(lines, expected, found, strict=True):
            if mapped(was, ids) != now:
                yield f"{name} encodes {shown(line)} otherwise than before"
                break
