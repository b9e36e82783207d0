"""Cleaning for terabytes: the same judgement as `clean`, as pipelines of datatrove.

Five stages, each a list of steps for one of datatrove's executors (local, Slurm, Ray): tidy every
document, sign it with MinHash, compare the signatures bucket by bucket, join what is alike, and
write what stays. Each task reads and writes files of its own, so any number of machines takes part.
`scripts/clean_corpus.py` runs them.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.word_tokenizers import WordTokenizer

from kollama2.data.lines import Reject, sample_of
from kollama2.data.near import pieces
from kollama2.data.read import read
from kollama2.data.tidy import HeldOut, Rules, tidy

# 14 buckets of 8 hashes, datatrove's own: two documents of similarity 0.8 meet with 92 %.
MINHASH = MinhashConfig(num_buckets=14, hashes_per_bucket=8)
_AT_ONCE = 8192


def stages(
    source: Path, out: Path, rules: Rules, held_out: HeldOut | None = None, tasks: int = 1
) -> list[tuple[str, int, list[Any]]]:
    """The stages in order, as (name, tasks, steps); each needs all of the one before.

    Args:
        source: folder of text files in any form that `read` knows; a file is read by one task.
        out: gets `corpus/`, `rejected/` and, while it works, `tidied/` and `minhash/`.
        rules: what a document must be.
        held_out: texts of benchmarks; a document that holds one of them is removed.
        tasks: how many parts the work is cut into.
    """
    minhash, tidied = out / "minhash", out / "tidied"
    signatures, buckets, remove = (minhash / name for name in ("signatures", "buckets", "remove"))
    rejected = out / "rejected"
    first = [ReadCorpus(source), Tidy(rules, held_out, rejected), Lines(tidied, _kept)]
    compare = MinhashDedupBuckets(str(signatures), str(buckets), config=MINHASH)
    join = MinhashDedupCluster(str(buckets), str(remove), config=MINHASH)
    keep = MinhashDedupFilter(str(remove), exclusion_writer=Lines(rejected / "near", _rejected))
    return [
        ("tidy", tasks, first),
        ("signatures", tasks, [ReadTidied(tidied), Signatures(signatures)]),
        ("buckets", MINHASH.num_buckets, [compare]),
        ("clusters", 1, [join]),
        ("write", tasks, [ReadTidied(tidied), keep, Lines(out / "corpus", _kept)]),
    ]


class ReadCorpus(PipelineStep):  # type: ignore[misc]
    """Reads every `world_size`-th file of a folder."""

    type, name = "READER", "kollama2 corpus"

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Yield a document a row; where a row cannot be read, its sample and the reason."""
        files = sorted(f for f in self.source.rglob("*") if f.is_file() and f.name[0] not in "._")
        for file in files[rank::world_size]:
            for one in read(file):
                if isinstance(one, Reject):
                    name = f"{one.file}:{one.line}"
                    yield Document(one.sample, name, metadata={"unreadable": one.reason})
                else:
                    name = f"{file.relative_to(self.source).as_posix()}:{one.line}"
                    yield Document(one.text or "\n".join(one.contents()), name)


class Tidy(BaseFilter):  # type: ignore[misc]
    """Mends and judges documents; what is rejected goes to a file of its own."""

    name = "kollama2 tidy"

    def __init__(self, rules: Rules, held_out: HeldOut | None, rejected: Path) -> None:
        super().__init__(Lines(rejected, _rejected))
        self.rules, self.held_out = rules, held_out

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Mend a document that stays; answer why one does not."""
        if reason := doc.metadata.get("unreadable"):
            return False, reason
        done = tidy(doc.text, self.rules)
        if done.reason is not None:
            return False, done.reason
        if self.held_out and done.text in self.held_out:
            return False, "holds a text of a suite"
        doc.text = done.text
        return True


class _NoWords(WordTokenizer):  # type: ignore[misc]
    """Stands where datatrove would load a tokenizer of words; pieces need none."""

    def word_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError

    def sent_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        raise NotImplementedError


class Signatures(MinhashDedupSignature):  # type: ignore[misc]
    """MinHash over the same pieces as `NearIndex`: five letters or digits."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), config=MINHASH, language=_NoWords())

    def get_shingles(self, text: str) -> Any:
        """Hashes of the pieces, shape [n, 1]."""
        hashes = [self._hash_func(piece) for piece in sorted(pieces(text))]
        return np.array(hashes, dtype=np.uint64).reshape(-1, 1)

    def get_signature(self, shingles: Any) -> list[list[int]]:
        """The least hashes, some pieces at a time: a book must not need a gigabyte."""
        parts = [
            super(Signatures, self).get_signature(shingles[at : at + _AT_ONCE])
            for at in range(0, len(shingles), _AT_ONCE)
        ]
        least: list[list[int]] = np.min(np.array(parts, dtype=np.uint64), axis=0).tolist()
        return least


class ReadTidied(PipelineStep):  # type: ignore[misc]
    """Reads back what the task of the same rank has written."""

    type, name = "READER", "kollama2 tidied"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents in the order in which they were written."""
        path = self.folder / f"{rank:05d}.jsonl"
        if not path.exists():  # nothing of that task stayed
            return
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield Document(**json.loads(line))


class Lines(DiskWriter):  # type: ignore[misc]
    """Writes a file of JSON lines for each task; datatrove's own writer needs orjson."""

    default_output_filename, name = "${rank}.jsonl", "kollama2 lines"

    def __init__(self, folder: Path, adapter: Callable[[Any, Document], dict[str, str]]) -> None:
        super().__init__(str(folder), adapter=adapter, compression=None, mode="wb")

    def _write(self, document: dict[str, str], file_handler: Any, _filename: str) -> None:
        file_handler.write((json.dumps(document, ensure_ascii=False) + "\n").encode())


def _kept(_: Lines, document: Document) -> dict[str, str]:
    return {"id": document.id, "text": document.text}


def _rejected(_: Lines, document: Document) -> dict[str, str]:
    reason = document.metadata.get("filter_reason", "nearly repeats another document")
    return {"id": document.id, "reason": reason, "sample": sample_of(document.text)}
