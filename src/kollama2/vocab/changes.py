"""Changes: what a changed tokenizer must leave as it was for everyone who reads its folder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.card import read_card
from kollama2.model.folder import ModelFolder
from kollama2.model.messages import Message
from kollama2.model.tokenizer import load_tokenizer, plain
from kollama2.vocab.runtimes import Decode, Encode

_SHOWN = 60
_ASK: Message = {"role": "user", "content": "What is the capital of Korea?"}
_SAY: Message = {"role": "assistant", "content": "Seoul.\n\n  It has been since 1394."}
_DIALOGS: tuple[tuple[Message, ...], ...] = (
    (_ASK, _SAY),
    ({"role": "system", "content": "Answer briefly."}, _ASK, _SAY),
    (_ASK, _SAY, {"role": "user", "content": "  and of Japan? "}, {**_SAY, "content": "Tokyo."}),
)


def changes(
    old: Path,
    new: Path,
    same: Sequence[str],
    lines: Sequence[str],
    ids: Mapping[int, int] | None = None,
) -> Iterator[str]:
    """What a changed tokenizer does not leave as it was, one sentence each.

    Both folders are read as kollama2 trains with them and as transformers opens them.

    Args:
        old: the folder before.
        new: the folder after.
        same: texts that have the same tokens in both.
        lines: texts that come back from their ids as they did before.
        ids: the new id of each old one; None where they are the same.
    """
    before, after = plain(old), plain(new)
    yield from _added(old, before, after, ids)
    pairs = {
        "kollama2": (_ours(old), _ours(new)),
        "transformers": (_theirs(before), _theirs(after)),
    }
    for name, ((was, was_said), (now, now_said)) in pairs.items():
        expected, found = was(same), now(same)
        differ = [i for i, e in enumerate(expected) if mapped(e, ids) != found[i]]
        if differ:
            yield (
                f"{name} encodes {len(differ)} of {len(same)} lines otherwise than before, first "
                f"{shown(same[differ[0]])}"
            )
        texts = [was_said(one) for one in was(lines)]
        lost = [i for i, one in enumerate(now(lines)) if now_said(one) != texts[i]]
        if lost:
            yield (
                f"{name} decodes {len(lost)} of {len(lines)} lines otherwise than before, first "
                f"{shown(lines[lost[0]])}"
            )
    if _chats(new) != [mapped(one, ids) for one in _chats(old)]:
        yield "the chat template gives other ids than before"


def _added(old: Path, before: Any, after: Any, ids: Mapping[int, int] | None) -> Iterator[str]:
    """Added tokens that moved, or say something else."""
    for name, one in added_tokens(old).items():
        (expected,) = mapped([one.id], ids)
        found = after.convert_tokens_to_ids(name)
        if found != expected:
            yield f"the added token {name!r} has id {found}, not {expected}"
        elif before.decode([one.id]) != after.decode([expected]):
            yield f"the added token {name!r} decodes to {after.decode([expected])!r}"


def mapped(found: Sequence[int], ids: Mapping[int, int] | None) -> list[int]:
    """Old ids as new ones; -1 for what is there no more."""
    return list(found) if ids is None else [ids.get(i, -1) for i in found]


def _ours(folder: Path) -> tuple[Encode, Decode]:
    tokenizer = load_tokenizer(folder)
    return lambda texts: tokenizer.encode_batch(list(texts)), tokenizer.decode


def _theirs(tokenizer: Any) -> tuple[Encode, Decode]:
    fast = tokenizer.backend_tokenizer
    return lambda texts: [one.ids for one in fast.encode_batch(list(texts))], fast.decode


def _chats(folder: Path) -> list[list[int]]:
    """Chats by the folder's own template, as far as it writes them."""
    read = ModelFolder(folder, read_card(folder))
    found = list[list[int]]()
    if read.has_template:
        encoder = read.encoder()
        for dialog in _DIALOGS:
            try:
                found.append(encoder.encode(dialog).ids)
            except BadData:
                found.append([])
    return found


def shown(line: str) -> str:
    """A line as a fault quotes it."""
    return f"{line[:_SHOWN]!r}{'…' if len(line) > _SHOWN else ''}"
