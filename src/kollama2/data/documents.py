"""Plain text as documents: a line, a paragraph, a wikiextractor article or a whole file each."""

from collections.abc import Iterable, Iterator

from kollama2.data.lines import Reject, Row, sample_of


def read_documents(lines: Iterable[Row | Reject], unit: str) -> Iterator[Row | Reject]:
    """Join lines into documents; a line that cannot be read is rejected alone.

    Args:
        lines: the lines of one file.
        unit: `lines` (each non-blank line is a document), `paragraphs` (blank lines separate
            documents), `wiki` (`<doc …>` to `</doc>`) or `markdown` (the file is one document).
    """
    if unit == "wiki":
        yield from _articles(lines)
        return
    start, body = 0, list[str]()
    for line in lines:
        if isinstance(line, Reject):
            yield line
            continue
        blank = not line.value.strip()
        if not blank or (unit == "markdown" and body):
            start = start if body else line.line
            body.append(line.value)
        ends = unit == "lines" or (unit == "paragraphs" and blank)
        if body and ends:
            yield Row(start, "\n".join(body))
            body = []
    if body:
        yield Row(start, "\n".join(body))


def _articles(lines: Iterable[Row | Reject]) -> Iterator[Row | Reject]:
    start, body = 0, list[str]()
    for line in lines:
        if isinstance(line, Reject):
            yield line
        elif line.value.startswith("<doc "):
            if start:  # The article before has lost its end; its lines are kept.
                yield Row(start, "\n".join(body))
            start, body = line.line, []
        elif line.value.strip() == "</doc>" and start:
            yield Row(start, "\n".join(body))
            start, body = 0, []
        elif start:
            body.append(line.value)
        elif line.value.strip():
            yield Reject(line.line, "outside of any <doc …> article", sample_of(line.value))
    if start:
        yield Row(start, "\n".join(body))
