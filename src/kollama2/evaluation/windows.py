"""Windows of equal bytes over a text, and the tokens that score exactly their bytes."""

import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from kollama2.evaluation.scorer import Encoder, Request

# A cut moves back at most so many bytes to a space, so that few tokens cross it.
_SLACK = 24


class Window(NamedTuple):
    """The request that scores a span, and how many bytes of the span its ids do not give back."""

    request: Request
    changed: int


def byte_windows(text: str, window: int, context: int) -> Iterator[tuple[str, str]]:
    """Cut a text into spans of equal bytes, each with the bytes before it as context.

    Positions are counted in UTF-8 bytes, so a tokenizer that needs more tokens sees the same
    text before every scored byte. A cut lies at a character boundary, just before a space when
    there is one within 24 bytes; the spans together are the whole text.

    Args:
        text: any text.
        window: bytes of context and span together.
        context: bytes of context.

    Yields:
        (context, span): the context of the first span is empty.
    """
    data = text.encode()
    start = 0
    while start < len(data):
        end = _cut(data, start + window - context, start)
        before = _cut(data, start - context, 0) if start > context else 0
        yield data[before:start].decode(), data[start:end].decode()
        start = end


def _cut(data: bytes, at: int, after: int) -> int:
    """The cut nearest before `at`, greater than `after`."""
    if at >= len(data):
        return len(data)
    for position in range(at, max(after, at - _SLACK), -1):
        if data[position] in b" \n":
            return position
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def window_request(encoder: Encoder, context: str, span: str) -> Window:
    """The request that scores `span` after the first id and `context`.

    Context and span are encoded as one text. A token that crosses their border is scored, so no
    byte of the span is ever left out; a tokenizer that changes text is scored on what it makes
    of it.

    Args:
        encoder: of the model.
        context: NFC, may be empty.
        span: NFC.
    """
    text = context + span
    ids = encoder.encode(text)
    seen = encoder.decode(ids)
    before = context if seen == text else encoder.decode(encoder.encode(context))
    border = 0
    if context:
        border = max(0, min(len(ids) - 1, len(encoder.encode(context)) + 4))
        while border and not before.startswith(encoder.decode(ids[:border])):
            border -= 1
    changed = max(0, _changed(text, seen) - _changed(context, before))
    return Window(Request((encoder.first_id, *ids[:border]), tuple(ids[border:])), changed)


def _changed(text: str, seen: str) -> int:
    """How many UTF-8 bytes of a text are others in what its ids give back, canonically composed."""
    seen = unicodedata.normalize("NFC", seen)
    if seen == text:
        return 0
    codes = SequenceMatcher(None, text, seen, autojunk=False).get_opcodes()
    return sum(
        max(len(text[a:b].encode()), len(seen[c:d].encode()))
        for kind, a, b, c, d in codes
        if kind != "equal"
    )
