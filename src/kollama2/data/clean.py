"""Cleaning a corpus: a stream of documents, of which each is kept or rejected with its reason."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel

from kollama2.data.lines import Reject, sample_of
from kollama2.data.near import NearIndex
from kollama2.data.read import read
from kollama2.data.tidy import HeldOut, Rules, bare, tidy
from kollama2.engine.commit import committing
from kollama2.errors import BadData, BadUsage
from kollama2.korean import hangul

CORPUS, REJECTED, SUMMARY = "corpus.jsonl", "rejected.jsonl", "cleaning.json"
_TELL_EVERY = 500


class Cleaned(BaseModel):
    """What a cleaning did; documents in = kept + rejected.

    Attributes:
        documents_in: rows of the sources.
        kept: documents in `corpus.jsonl`.
        rejected: documents in `rejected.jsonl`.
        reasons: rejected documents by reason, most frequent first.
        changes: what was done to kept documents, by its name.
        bytes_in: UTF-8 bytes of all readable documents.
        bytes_kept: UTF-8 bytes of the kept ones, after the changes.
        hangul_share: Hangul bytes among the kept ones.
        held_out: texts that no document may hold, and how many of them were too short to look for.
        rules: by which it was judged.
        near_duplicates: similarity from which a document is a copy; None looked for none.
    """

    documents_in: int = 0
    kept: int = 0
    rejected: int = 0
    reasons: dict[str, int] = {}
    changes: dict[str, int] = {}
    bytes_in: int = 0
    bytes_kept: int = 0
    hangul_share: float = 0.0
    held_out: tuple[int, int]
    rules: Rules
    near_duplicates: float | None


def clean(
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    rules: Rules | None = None,
    near_duplicates: float | None = 0.8,
    held_out: HeldOut | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cleaned:
    """Clean a corpus into `out/corpus.jsonl`, with `rejected.jsonl` and `cleaning.json` beside it.

    Documents stream through: memory holds a digest and half a kilobyte of hashes of each, never
    the corpus. The result depends on the order of the sources and on nothing else.

    Args:
        sources: files or folders of text, in any form that `read` knows.
        out: a new folder; it appears when it is whole.
        columns: which column of every source plays which role, as in `read`.
        rules: what a document must be.
        near_duplicates: estimated Jaccard similarity from which a document counts as a copy of an
            earlier one; None keeps near-duplicates (exact ones are always removed).
        held_out: texts of benchmarks; a document that holds one of them is removed.
        progress: called now and then with (documents done, documents kept).

    Raises:
        BadUsage: `out` exists, the similarity is not between 0 and 1, or an unknown role.
        BadData: a source cannot be read or holds chats, or nothing is kept.
        TryLater, StorageTrouble: the disk is full or refuses; nothing is left at `out`.
    """
    target = Path(out)
    if target.exists():
        raise BadUsage(f"{target} exists; name a new folder")
    if near_duplicates is not None and not 0 < near_duplicates < 1:
        raise BadUsage(f"near_duplicates is {near_duplicates}; give a share between 0 and 1")
    work = _Cleaning(rules or Rules(), near_duplicates, held_out)
    found = work.found
    with committing(target) as partial:
        with (
            (partial / CORPUS).open("w", encoding="utf-8") as kept,
            (partial / REJECTED).open("w", encoding="utf-8") as rejected,
        ):
            for source in sources:
                for one in _documents(Path(source), columns):
                    work.take(one, kept, rejected)
                    if progress and found.documents_in % _TELL_EVERY == 0:
                        progress(found.documents_in, found.kept)
        work.add_up()
        (partial / SUMMARY).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        if not found.kept:
            why = "; ".join(f"{n} x {reason}" for reason, n in list(found.reasons.items())[:3])
            raise BadData(f"none of {found.documents_in} documents is kept ({why})")
    return found


def _documents(
    source: Path, columns: Mapping[str, str] | None
) -> Iterator[Reject | tuple[str, str]]:
    """(name, text) of each document of a file or folder, and what cannot be read."""
    for one in read(source, columns=columns):
        if isinstance(one, Reject):
            yield one
        elif not one.text:
            raise BadData(f"{source} holds chats; a corpus is made of running text")
        else:
            yield one.id, one.text


class _Cleaning:
    """What is found, and the memory of a cleaning: digests, hashes and counts."""

    def __init__(
        self, rules: Rules, near_duplicates: float | None, held_out: HeldOut | None
    ) -> None:
        looked = (held_out.items, held_out.too_short) if held_out else (0, 0)
        self.found = Cleaned(rules=rules, near_duplicates=near_duplicates, held_out=looked)
        self._held_out = held_out
        self._near = NearIndex(near_duplicates) if near_duplicates is not None else None
        self._seen: dict[bytes, str] = {}
        self._reasons: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        self._hangul = 0

    def take(self, one: Reject | tuple[str, str], kept: TextIO, rejected: TextIO) -> None:
        """Judge one document and write it where it belongs."""
        self.found.documents_in += 1
        if isinstance(one, Reject):
            self._reject(rejected, f"{one.file}:{one.line}", one.reason, one.sample)
            return
        name, text = one
        self.found.bytes_in += len(text.encode())
        done = tidy(text, self.found.rules)
        reason, like = (done.reason, {}) if done.reason else self._known(name, done.text)
        if reason:
            self._reject(rejected, name, reason, sample_of(text), **like)
            return
        self.found.kept += 1
        self.found.bytes_kept += len(done.text.encode())
        self._hangul += hangul.hangul_bytes(done.text)
        self._changes.update(done.changes)
        _write(kept, {"id": name, "text": done.text})

    def _known(self, name: str, text: str) -> tuple[str | None, dict[str, Any]]:
        """Whether a document holds a held-out text, or repeats an earlier document."""
        if self._held_out and text in self._held_out:
            return "holds a text of a suite", {}
        digest = hashlib.blake2b(bare(text).encode(), digest_size=16).digest()
        if digest in self._seen:
            return "repeats an earlier document", {"of": self._seen[digest]}
        self._seen[digest] = name
        found = self._near.find_or_add(name, text) if self._near else None
        if found:
            return "nearly repeats an earlier document", {"of": found[0], "similar": found[1]}
        return None, {}

    def _reject(self, file: TextIO, name: str, reason: str, sample: str, **more: Any) -> None:
        self.found.rejected += 1
        self._reasons[reason] += 1
        _write(file, {"id": name, "reason": reason, **more, "sample": sample})

    def add_up(self) -> None:
        """Complete what is found."""
        self.found.reasons = dict(self._reasons.most_common())
        self.found.changes = dict(self._changes.most_common())
        self.found.hangul_share = self._hangul / max(self.found.bytes_kept, 1)


def _write(file: TextIO, row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
