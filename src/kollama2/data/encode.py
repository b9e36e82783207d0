"""Encoding: sources of training data to one file of token rows, with every loss accounted for."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kollama2.data.fit import fit_chat, fit_text
from kollama2.data.forms import Example
from kollama2.data.lines import Reject, sample_of
from kollama2.data.mix import select
from kollama2.data.read import read
from kollama2.data.rows import RowWriter
from kollama2.errors import BadData, BadUsage
from kollama2.locale import mark
from kollama2.model.chat import ChatEncoder, Loss
from kollama2.model.folder import OWN, ModelFolder

_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 512
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
    limit: int | None = None,
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
        template: a name in `templates`, or `own` for the one of the tokenizer's folder.
        max_length: tokens in a row at most.
        loss: learn the answers only, or everything but BOS; of running text all is learned.
        budget_bytes: UTF-8 bytes of text to take, in an order that depends only on `seed` and
            each row's number; None takes all. The last text is cut to the byte, a chat is whole.
        seed: chooses the rows of a budget.
        limit: of each source only the first usable rows, so many; None takes all.
        progress: called with (rows done, rows in all or 0 where unknown, "rows").

    Returns:
        What `encoding.json` holds: template and whether it stands in for one that the model was
        never taught, lengths, counts (in = kept + rejected + duplicates +
        beyond the budget), rows, tokens and bytes.

    Raises:
        BadUsage: an unknown template, a length or a budget that cannot be meant.
        BadData: a source that cannot be read, or nothing left to learn.
    """
    given = [sources] if isinstance(sources, (str, Path, Input)) else list(sources)
    listed = [one if isinstance(one, Input) else Input(Path(one)) for one in given]
    if not listed:
        raise BadUsage("there is no source to encode; give at least one file")
    if max_length < 3:
        raise BadUsage(f"max_length is {max_length}; it must be at least 3")
    model = ModelFolder.read(tokenizer)
    encoder = model.encoder(template)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    allowed = None
    weights = [one.weight for one in listed]
    if budget_bytes is not None or (len(listed) > 1 and any(w is not None for w in weights)):
        allowed = select(_sizes(encoder, listed, limit), weights, budget_bytes, seed)
    work = _Encoding(encoder, max_length, loss, folder)
    total = sum(map(len, allowed)) if allowed is not None else (limit or 0) * len(listed)
    try:
        walk = _walk(listed, work.counts, limit)
        _fill(work, walk, allowed, lambda done: progress and progress(done, total, mark("rows")))
    finally:
        work.close()
    summary = {
        "template": encoder.template,
        "substituted": template == OWN and model.template is None,
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
    sources: Sequence[Input], counts: Counter[str], limit: int | None
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
            digest = one.digest()
            if digest in seen:
                counts["duplicates"] += 1
                continue
            seen.add(digest)
            yield number, row, one
            row += 1
            if row == limit:
                break
        # Kept and rejected are counted once the rows are fitted.
        counts.update({k: n for k, n in reading.counts.items() if k not in {"kept", "rejected"}})


def _size(parts: Sequence[str]) -> int:
    return sum(len(part.encode()) for part in parts)


def _sizes(
    encoder: ChatEncoder, sources: Sequence[Input], limit: int | None
) -> list[NDArray[np.int64]]:
    sizes: list[list[int]] = [[] for _ in sources]
    for number, _, one in _walk(sources, Counter(), limit):
        if isinstance(one, Example):
            sizes[number].append(_size(encoder.contents(one)))
    return [np.array(size, dtype=np.int64) for size in sizes]


def _fill(
    work: "_Encoding",
    walk: Iterator[tuple[int, int, Example | Reject]],
    allowed: Sequence[NDArray[np.int64]] | None,
    tell: Callable[[int], object],
) -> None:
    batch, held, done = list[Example](), 0, 0
    for number, row, one in walk:
        if isinstance(one, Reject):
            work.reject(one)
            continue
        done += 1
        size = _size(work.encoder.contents(one))
        take = size if allowed is None else int(allowed[number][row])
        if take < size and not work.encoder.is_chat(one):
            # The last text of a budget is cut to the byte, at a whole character.
            one = replace(one, text=one.text.encode()[:take].decode("utf-8", "ignore"))
            take = take if one.text else 0
        if not take:
            work.counts["beyond the budget"] += 1
            continue
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
        self.encoder = encoder
        self._max_length = max_length
        self._loss: Loss = loss
        self._rejected = (out / "rejected.jsonl").open("w", encoding="utf-8")
        self._rows = RowWriter(out / "rows.parquet")

    def reject(self, one: Reject) -> None:
        self.counts["rejected"] += 1
        self.reasons[one.reason] += 1
        self._rejected.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")

    def add(self, examples: Sequence[Example]) -> None:
        encoded = self.encoder.encode_batch(examples, self._loss)
        for example, one in zip(examples, encoded, strict=True):
            parts = self.encoder.contents(example)
            fit = fit_chat if self.encoder.is_chat(example) else fit_text
            fitted = fit(one, self._max_length)
            if fitted.reason:
                sample = sample_of(parts[0])
                self.reject(Reject(example.line, fitted.reason, sample, example.file))
                continue
            self.counts["kept"] += 1
            if fitted.change:
                self.counts[fitted.change] += 1
            self._rows.add(example.id, parts, fitted)
        self._rows.flush()

    def figures(self) -> dict[str, Any]:
        tokenizer = self.encoder.tokenizer
        return {
            "counts": dict(self.counts),
            "reasons": dict(self.reasons.most_common()),
            **self._rows.sums,
            "bos": tokenizer.bos_id,
            "eos": tokenizer.eos_id,
            "tokenizer": tokenizer.source,
        }

    def close(self) -> None:
        self._rows.close()
        self._rejected.close()
