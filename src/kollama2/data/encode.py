"""Encoding: sources of training data to one file of token rows, with every loss accounted for."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import parquet

from kollama2.data import hangul
from kollama2.data.chat import IGNORED, ChatEncoder, Loss
from kollama2.data.fit import fit_chat, fit_text
from kollama2.data.forms import Example
from kollama2.data.lines import Reject
from kollama2.data.mix import select
from kollama2.data.read import Reading, read
from kollama2.data.tokenizer import load_tokenizer
from kollama2.errors import BadData, BadUsage

_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 512
SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "input_ids": pyarrow.list_(pyarrow.int32()),
        "labels": pyarrow.list_(pyarrow.int32()),
        "bytes": pyarrow.int32(),
        "ko_bytes": pyarrow.int32(),
    }
)
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder of training data.

    Attributes:
        path: what `read` takes.
        form: one of `forms.FORMS`, or None to find it.
        columns: which column plays which role, where their names do not say.
        weight: its share of the bytes relative to the other sources; None: whatever it holds.
    """

    path: Path
    form: str | None = None
    columns: Mapping[str, str] | None = None
    weight: float | None = None


def encode(
    sources: str | Path | Input | Sequence[str | Path | Input],
    tokenizer: str | Path,
    out: str | Path,
    *,
    template: str,
    max_length: int,
    loss: Loss = "assistant",
    budget_bytes: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Encode sources into `out/rows.parquet`, `encoding.json` and `rejected.jsonl`.

    Long documents are split into rows of `max_length` tokens, nothing dropped. A chat that is too
    long loses whole trailing turns, else its only answer is cut (and gets no EOS). Exact
    duplicates are dropped.

    Args:
        sources: one or several; weighted ones are mixed by bytes and none is repeated.
        tokenizer: the folder of the tokenizer.
        out: the folder to write into; it is made where it is missing.
        template: one of `templates.TEMPLATES`.
        max_length: tokens in a row at most.
        loss: learn the answers only, or everything but BOS; of running text all is learned.
        budget_bytes: UTF-8 bytes of text to take, in an order that depends only on `seed` and
            each row's number; None takes all. The last text is cut to the byte, a chat is whole.
        seed: chooses the rows of a budget.
        progress: called with (rows done, rows in all or 0 where unknown, "rows").

    Returns:
        What `encoding.json` holds: template, lengths, counts (in = kept + rejected + duplicates +
        beyond the budget), rows, tokens and bytes.

    Raises:
        BadUsage: an unknown template, a length or a budget that cannot be meant.
        BadData: a source that cannot be read, or nothing left to learn.
    """
    given = [sources] if isinstance(sources, (str, Path, Input)) else list(sources)
    listed = [one if isinstance(one, Input) else Input(Path(one)) for one in given]
    if not listed:
        raise BadUsage("there is no source to encode; give at least one file")
    if max_length < 2:
        raise BadUsage(f"max_length is {max_length}; it must be at least 2")
    encoder = ChatEncoder(load_tokenizer(tokenizer), template)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    allowed = None
    if budget_bytes is not None or any(one.weight is not None for one in listed):
        allowed = select(_sizes(listed), [one.weight for one in listed], budget_bytes, seed)
    work = _Encoding(encoder, max_length, loss, folder)
    total = sum(map(len, allowed)) if allowed is not None else 0
    try:
        _fill(work, listed, allowed, lambda done: progress and progress(done, total, "rows"))
    finally:
        work.close()
    summary = {
        "template": template,
        "max_length": max_length,
        "loss": loss,
        **work.figures(),
        "budget_bytes": budget_bytes,
        "seed": seed,
        "sources": [{**asdict(one), "path": one.path.name} for one in listed],
    }
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    (folder / "encoding.json").write_text(text, encoding="utf-8")
    if not summary["rows"]:
        names = ", ".join(one.path.name for one in listed)
        why = "; ".join(f"{n} x {reason}" for reason, n in work.reasons.most_common(3))
        raise BadData(
            f"nothing to learn is left of {names} ({why}); raise max_length or the budget"
        )
    return summary


def _walk(
    sources: Sequence[Input], counts: Counter[str]
) -> Iterator[tuple[int, int, Example | Reject]]:
    """Yield (source, row, example) with rows numbered over what is no duplicate; rejects too."""
    seen = set[bytes]()
    for number, source in enumerate(sources):
        reading = read(source.path, source.form, source.columns)
        row = 0
        for one in reading:
            if isinstance(one, Reject):
                yield number, -1, one
                continue
            content = json.dumps(one.messages or one.text, ensure_ascii=False)
            digest = hashlib.blake2b(content.encode(), digest_size=16).digest()
            if digest in seen:
                counts["duplicates"] += 1
                continue
            seen.add(digest)
            yield number, row, one
            row += 1
        _add_up(counts, reading)


def _add_up(counts: Counter[str], reading: Reading) -> None:
    counts["in"] += reading.counts["in"]
    counts.update({k: n for k, n in reading.counts.items() if k not in {"in", "kept", "rejected"}})


def _size(example: Example) -> int:
    return sum(len(part.encode()) for part in example.contents())


def _sizes(sources: Sequence[Input]) -> list[NDArray[np.int64]]:
    sizes: list[list[int]] = [[] for _ in sources]
    for number, _, one in _walk(sources, Counter()):
        if isinstance(one, Example):
            sizes[number].append(_size(one))
    return [np.array(size, dtype=np.int64) for size in sizes]


def _fill(
    work: "_Encoding",
    sources: Sequence[Input],
    allowed: Sequence[NDArray[np.int64]] | None,
    tell: Callable[[int], object],
) -> None:
    batch, held, done = list[Example](), 0, 0
    for number, row, one in _walk(sources, work.counts):
        if isinstance(one, Reject):
            work.reject(one)
            continue
        done += 1
        size = _size(one)
        take = size if allowed is None else int(allowed[number][row])
        if not take:
            work.counts["beyond the budget"] += 1
            continue
        if take < size and not one.messages:
            text = one.text.encode()[:take].decode("utf-8", "ignore")
            one = replace(one, text=text)
        batch.append(one)
        held += take
        if len(batch) >= _BATCH_ROWS or held >= _BATCH_BYTES:
            work.add(batch)
            tell(done)
            batch, held = [], 0
    work.add(batch)
    tell(done)


class _Encoding:
    """The open outputs and the counts of one encoding."""

    def __init__(self, encoder: ChatEncoder, max_length: int, loss: Loss, out: Path) -> None:
        self.counts: Counter[str] = Counter({"in": 0, "kept": 0, "rejected": 0})
        self.reasons: Counter[str] = Counter()
        self._sums = dict.fromkeys(("rows", "tokens", "learned", "bytes", "ko_bytes"), 0)
        self._encoder = encoder
        self._max_length = max_length
        self._loss: Loss = loss
        self._rejected = (out / "rejected.jsonl").open("w", encoding="utf-8")
        self._rows = parquet.ParquetWriter(out / "rows.parquet", SCHEMA, compression="zstd")

    def reject(self, one: Reject) -> None:
        self.counts["rejected"] += 1
        self.reasons[one.reason] += 1
        self._rejected.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")

    def add(self, examples: Sequence[Example]) -> None:
        columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        encoded = self._encoder.encode_batch(examples, self._loss)
        for example, one in zip(examples, encoded, strict=True):
            chat = self._encoder.is_chat(example)
            fitted = (fit_chat if chat else fit_text)(one, self._max_length)
            if fitted.reason:
                sample = example.contents()[0][:120]
                self.reject(Reject(example.line, fitted.reason, sample, example.file))
                continue
            self.counts["kept"] += 1
            if fitted.change:
                self.counts[fitted.change] += 1
            self._append(columns, example, fitted.rows)
        if columns["id"]:
            self._rows.write_table(pyarrow.table(columns, schema=SCHEMA))

    def _append(
        self,
        columns: dict[str, list[Any]],
        example: Example,
        rows: Sequence[tuple[list[int], list[int], float]],
    ) -> None:
        parts = example.contents()
        total = sum(len(part.encode()) for part in parts), sum(map(hangul.hangul_bytes, parts))
        upto, before = 0.0, (0, 0)
        for number, (ids, labels, share) in enumerate(rows):
            upto += share
            # The bytes of a part of a text are those of its share of the tokens; the parts of a
            # whole text add up to exactly its bytes.
            after = round(total[0] * upto), round(total[1] * upto)
            values = {
                "id": example.id if len(rows) == 1 else f"{example.id}#{number}",
                "input_ids": ids,
                "labels": labels,
                "bytes": after[0] - before[0],
                "ko_bytes": after[1] - before[1],
            }
            before = after
            for name, value in values.items():
                columns[name].append(value)
            self._sums["rows"] += 1
            self._sums["tokens"] += len(ids)
            self._sums["learned"] += len(labels) - labels.count(IGNORED)
            self._sums["bytes"] += cast(int, values["bytes"])
            self._sums["ko_bytes"] += cast(int, values["ko_bytes"])

    def figures(self) -> dict[str, Any]:
        tokenizer = self._encoder.tokenizer
        return {
            "counts": dict(self.counts),
            "reasons": dict(self.reasons.most_common()),
            **self._sums,
            "bos": tokenizer.bos_id,
            "eos": tokenizer.eos_id,
            "pad": tokenizer.pad_id,
            "tokenizer": tokenizer.source,
        }

    def close(self) -> None:
        self._rows.close()
        self._rejected.close()
