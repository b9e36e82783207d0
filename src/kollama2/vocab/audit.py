"""Audit: what must hold of an expanded tokenizer before anything is trained with it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from unicodedata import normalize

from kollama2.errors import BadData
from kollama2.model.probe import HARD, unchanged_lines
from kollama2.vocab.changes import shown
from kollama2.vocab.runtimes import Runtimes

_FENCE = "\ue000"


@dataclass(frozen=True)
class Audit:
    """What an audit found; `faults` is empty where all is well.

    Attributes:
        unchanged: lines without Hangul that were encoded by the old and the new tokenizer.
        changed: those that differ.
        korean: Korean lines that every runtime encoded.
        disagreeing: by runtime, lines whose ids differ from the reference's.
        lost: lines that decode to something else than their composed form (NFC).
        dead: new pieces that no text gives.
        digest: hash of the ids of all lines above, to tell tokenizers apart.
        faults: one sentence each, with the line.
    """

    unchanged: int
    changed: int
    korean: int
    disagreeing: dict[str, int]
    lost: int
    dead: tuple[str, ...]
    digest: str
    faults: tuple[str, ...]


def audit(old: Runtimes, new: Runtimes, pieces: Mapping[int, str], korean: Iterable[str]) -> Audit:
    """Compare an expanded tokenizer with the old one and its runtimes with each other.

    Args:
        old: the tokenizer before.
        new: the tokenizer after.
        pieces: the text that each new id stands for; one that begins a word begins with a space.
        korean: real lines, in any Unicode form.
    """
    faults = [
        f"id {i} was {was!r} and is {now!r}"
        for i, (was, now) in enumerate(zip(old.pieces, new.pieces, strict=False))
        if was != now
    ][:1]

    probe = unchanged_lines()
    before, after = old.encode(probe), new.encode(probe)
    changed = [i for i in range(len(probe)) if before[i] != after[i]]
    if changed:
        faults.append(
            f"{len(changed)} lines without Hangul changed, first {shown(probe[changed[0]])}"
        )

    lines = [normalize("NFC", line) for line in (*HARD, *korean)]
    found = {name: encode(lines) for name, encode in new.encoders.items()}
    reference, *others = found
    disagreeing = {}
    for name in others:
        differ = [i for i in range(len(lines)) if found[name][i] != found[reference][i]]
        disagreeing[name] = len(differ)
        if differ:
            faults.append(
                f"{name} encodes {len(differ)} of {len(lines)} Korean lines in another way than "
                f"{reference}, first {shown(lines[differ[0]])}"
            )
    decoded = [new.decode(ids) for ids in found[reference]]
    lost = [i for i, line in enumerate(lines) if decoded[i] != line]
    if lost:
        faults.append(f"{len(lost)} Korean lines do not survive, first {shown(lines[lost[0]])}")

    dead = unreachable(new, pieces)
    if dead:
        faults.append(f"no text gives {len(dead)} of {len(pieces)} new pieces, first {dead[0]!r}")
    hashed = json.dumps([after, found[reference]]).encode()
    return Audit(
        unchanged=len(probe),
        changed=len(changed),
        korean=len(lines),
        disagreeing=disagreeing,
        lost=len(lost),
        dead=tuple(dead),
        digest=hashlib.sha256(hashed).hexdigest()[:16],
        faults=tuple(faults),
    )


def unreachable(new: Runtimes, pieces: Mapping[int, str]) -> list[str]:
    """New pieces that are not given by their own text, neither alone nor behind another.

    Args:
        new: the expanded tokenizer.
        pieces: the text of each id.
    """
    texts = list(pieces.values())
    found = zip(
        pieces,
        texts,
        new.encode([text.removeprefix(" ") for text in texts]),
        new.encode([_FENCE + text for text in texts]),
        strict=True,
    )
    return [text for i, text, alone, behind in found if i not in alone and i not in behind]


def refuse(audit: Audit) -> None:
    """Stop an expansion whose audit failed.

    Raises:
        BadData: with the first fault and how many more there are.
    """
    if audit.faults:
        more = f" (and {len(audit.faults) - 1} more)" if len(audit.faults) > 1 else ""
        raise BadData(f"the expanded tokenizer fails its audit: {audit.faults[0]}{more}")
