"""Cleaning for terabytes: the same judgement as `clean`, as pipelines of datatrove.

Five stages, each a list of steps for one of datatrove's executors (local, Slurm, Ray): tidy every
document, sign it with MinHash, compare the signatures bucket by bucket, join what is alike, and
write what stays. Each task reads and writes files of its own, so any number of machines takes part.
`scripts/clean_corpus.py` runs them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
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
    near = Rejected(out / "rejected" / "near")
    first = [ReadCorpus(source), Tidy(rules, held_out, out / "rejected"), WriteCorpus(tidied)]
    compare = MinhashDedupBuckets(str(signatures), str(buckets), config=MINHASH)
    join = MinhashDedupCluster(str(buckets), str(remove), config=MINHASH)
    keep = MinhashDedupFilter(str(remove), exclusion_writer=near)
    return [
        ("tidy", tasks, first),
        ("signatures", tasks, [ReadTidied(tidied), Signatures(signatures)]),
        ("buckets", MINHASH.num_buckets, [compare]),
        ("clusters", 1, [join]),
        ("write", tasks, [ReadTidied(tidied), keep, WriteCorpus(out / "corpus")]),
    ]


class ReadCorpus(PipelineStep):  # type: ignore[misc]
    """Reads every `world_size`-th file of a folder."""

    type, name = "READER", "kollama2 corpus"

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Yield a document a row; a `Reject` where a row cannot be read."""
        files = sorted(f for f in self.source.rglob("*") if f.is_file() and f.name[0] not in "._")
        for file in files[rank::world_size]:
            for one in read(file):
                if isinstance(one, Reject):
                    yield one
                else:
                    name = f"{file.relative_to(self.source).as_posix()}:{one.line}"
                    yield Document(text=one.text or "\n".join(one.contents()), id=name)


class Tidy(PipelineStep):  # type: ignore[misc]
    """Mends and judges documents; what is rejected goes to a file of its own."""

    type, name = "FILTER", "kollama2 tidy"

    def __init__(self, rules: Rules, held_out: HeldOut | None, rejected: Path) -> None:
        super().__init__()
        self.rules, self.held_out, self.rejected = rules, held_out, rejected

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield what stays."""
        with Rejected(self.rejected) as rejected:
            for one in data:
                if isinstance(one, Reject):
                    rejected.put(rank, f"{one.file}:{one.line}", one.reason, one.sample)
                    continue
                done = tidy(one.text, self.rules)
                reason = done.reason
                if reason is None and self.held_out and done.text in self.held_out:
                    reason = "holds a text of a suite"
                if reason is not None:
                    rejected.put(rank, one.id, reason, sample_of(one.text))
                    continue
                one.text = done.text
                yield one


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
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield Document(text=row["text"], id=row["id"])


class WriteCorpus(PipelineStep):  # type: ignore[misc]
    """Writes `<rank>.jsonl`, which exists only when it is whole."""

    type, name = "WRITER", "kollama2 corpus"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write each document and pass it on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"{rank:05d}.jsonl"
        partial = final.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            for one in data:
                row = {"id": one.id, "text": one.text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                yield one
        partial.replace(final)


class Rejected:
    """A file of rejected documents for each task, in the form of datatrove's exclusion writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "Rejected":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file: Any = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, rank: int, name: str, reason: str, sample: str) -> None:
        """Write one rejected document."""
        if self._file is None:
            self._file = (self.folder / f"{rank:05d}.jsonl").open("w", encoding="utf-8")
        row = {"id": name, "reason": reason, "sample": sample}
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def write(self, document: Document, rank: int = 0) -> None:
        """Write a document that repeats another."""
        self.put(rank, document.id, "nearly repeats another document", sample_of(document.text))


def run_local(
    source: Path,
    out: Path,
    rules: Rules,
    held_out: HeldOut | None = None,
    *,
    tasks: int = 1,
    workers: int = 1,
) -> None:
    """Run the stages on this machine; a stage that is done is not done again.

    Args:
        source: as `stages`.
        out: as `stages`; logs and statistics go to `out/logs`.
        rules: as `stages`.
        held_out: as `stages`.
        tasks: how many parts the work is cut into.
        workers: how many processes at a time.
    """
    from datatrove.executor import LocalPipelineExecutor

    for name, parts, steps in stages(source, out, rules, held_out, tasks):
        LocalPipelineExecutor(
            steps, tasks=parts, workers=min(workers, parts), logging_dir=str(out / "logs" / name)
        ).run()
