"""Checking a file before it is trained on: what it is, what is wrong with it, how it will look."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from kollama2.data.checked import COMPOSED, Checked, Lengths, Reason, Span, render
from kollama2.data.forms import Example
from kollama2.data.lines import Reject
from kollama2.data.read import Reading, read
from kollama2.korean import hangul
from kollama2.model.chat import IGNORED, ChatEncoder, Encoded
from kollama2.model.folder import ModelFolder

__all__ = ["Checked", "Lengths", "Reason", "Span", "check", "render"]
_TOKENIZED_ROWS = 2000
_LINES_SHOWN = 5
_TOKENS_SHOWN = 10_000


class _Totals:
    """What is added up over the rows of a file."""

    def __init__(self) -> None:
        self.lengths = list[int]()
        self.hangul = self.letters = self.turns = self.chats = self.duplicates = 0
        self.where: dict[str, list[str]] = {}
        self.sample = list[Example]()
        self._seen = set[bytes]()
        self._random = random.Random(0)

    def add(self, one: Example | Reject) -> None:
        if isinstance(one, Reject):
            places = self.where.setdefault(one.reason, [])
            if len(places) < _LINES_SHOWN:
                places.append(f"{one.file}:{one.line}")
            return
        text = "\n".join(one.contents())
        self.lengths.append(len(text))
        self.hangul += hangul.characters(text)
        self.letters += hangul.letters(text)
        self.chats += bool(one.messages)
        self.turns += len(one.messages)
        key = one.digest()
        self.duplicates += key in self._seen
        self._seen.add(key)
        # A reservoir: every row is in the sample with the same probability (Vitter 1985, R).
        if len(self.sample) < _TOKENIZED_ROWS:
            self.sample.append(one)
        elif (place := self._random.randrange(len(self.lengths))) < _TOKENIZED_ROWS:
            self.sample[place] = one


def check(
    path: str | Path,
    tokenizer_folder: str | Path | None = None,
    *,
    template: str = "own",
    form: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Checked:
    """Read a whole file or folder and say what training would make of it.

    Args:
        path: what `read` takes.
        tokenizer_folder: counts tokens and encodes the example; without it neither is done.
        template: the chat template of the token counts and of the example; `own` for the model's.
        form: one of `forms.FORMS`, or None to find it.
        columns: which column plays which role, as in `read`.

    Raises:
        BadUsage: an unknown form, role or template.
        BadData: the file cannot be read or holds no usable row.
    """
    encoder = ModelFolder.read(tokenizer_folder).encoder(template) if tokenizer_folder else None
    reading, totals = read(path, form, columns), _Totals()
    for one in reading:
        totals.add(one)
    found = _found(str(path), reading, totals)
    if encoder is not None:
        _encode(found, encoder, totals)
    return found


def _encode(found: Checked, encoder: ChatEncoder, totals: _Totals) -> None:
    """Add what an encoder makes of the sample, and one row of it."""
    encoded = encoder.encode_batch(totals.sample)
    written = [(row, one) for row, one in zip(totals.sample, encoded, strict=True) if one.ids]
    refused: dict[str, list[str]] = {}
    for row, one in zip(totals.sample, encoded, strict=True):
        if one.reason:
            refused.setdefault(one.reason, []).append(row.id)
    found.refused = [
        Reason(reason=reason, rows=len(places), first=places[:_LINES_SHOWN])
        for reason, places in sorted(refused.items(), key=lambda item: -len(item[1]))
    ]
    found.template = encoder.template
    found.tokenizer = encoder.tokenizer.source
    found.sampled = len(encoded)
    if not written:
        return
    counted = [len(one.ids) for _, one in written]
    characters = sum(len("\n".join(row.contents())) for row in totals.sample)
    found.tokens = _lengths(counted)
    found.estimated_tokens = round(sum(counted) * sum(totals.lengths) / max(characters, 1))
    shown = next(((row, one) for row, one in written if row.messages), written[0])
    found.example = spans(encoder, shown[1])


def _found(path: str, reading: Reading, totals: _Totals) -> Checked:
    counts = reading.counts
    changed = {k: n for k, n in counts.items() if k not in {"in", "kept", "rejected"}}
    return Checked(
        path=path,
        kinds={f"{kind}, {form}": files for (kind, form), files in reading.kinds.items()},
        rows_in=counts["in"],
        kept=counts["kept"],
        rejected=counts["rejected"],
        reasons=[
            Reason(reason=reason, rows=rows, first=totals.where[reason])
            for reason, rows in reading.reasons.most_common()
        ],
        changed=changed,
        unused=dict(reading.unused.most_common()),
        nfd=counts[COMPOSED],
        duplicates=totals.duplicates,
        hangul_share=totals.hangul / max(totals.letters, 1),
        turns=totals.turns / max(totals.chats, 1),
        characters=_lengths(totals.lengths),
    )


def _lengths(values: Iterable[int]) -> Lengths:
    """Return nearest-rank percentiles and a histogram in powers of two."""
    ordered = sorted(values)
    bins = Counter(value.bit_length() for value in ordered)
    return Lengths(
        p50=ordered[(len(ordered) - 1) // 2],
        p95=ordered[-(-len(ordered) * 95 // 100) - 1],
        max=ordered[-1],
        bars=[(1 << b >> 1, 1 << b, bins[b]) for b in range(min(bins), max(bins) + 1)],
    )


def spans(encoder: ChatEncoder, one: Encoded) -> list[Span]:
    """Return how an encoded example begins, cut at control tokens and where learning changes."""
    names = {token: name for name, token in encoder.tokenizer.special.items()}
    marks = [(i in names, label != IGNORED) for i, label in zip(one.ids, one.labels, strict=True)]
    found, start, shown = list[Span](), 0, 0
    marks = marks[:_TOKENS_SHOWN]
    for at, (control, learned) in enumerate(marks):
        if control:
            found.append(Span(text=names[one.ids[at]], learned=learned, control=True))
            start, shown = at + 1, 0
        elif at + 1 == len(marks) or marks[at + 1] != marks[at]:
            # Decoded from the last control token on, so that no space is lost in between.
            text = encoder.tokenizer.decode(one.ids[start : at + 1])
            found.append(Span(text=text[shown:], learned=learned))
            shown = len(text)
    return found
