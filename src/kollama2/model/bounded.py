"""Bounded: chat templates of folders, rendered with an end to their time and their text.

transformers renders them in Jinja's sandbox, which keeps them from the machine but not from endless
loops, and not from texts larger than its memory. Every template of a folder is rendered here.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any

from kollama2.errors import BadData
from kollama2.model.reading import said

SECONDS = 3.0
LONGEST = 1 << 24  # characters
_LARGEST = 100_000  # whole number in a template; the sandbox ends a range there too


def render(plain: Any, chats: Sequence[Any], source: str | None = None, **options: Any) -> Any:
    """Chats as texts by a Jinja template.

    The time is limited in the main thread only: no other one can be stopped.

    Args:
        plain: the tokenizer as transformers reads it.
        chats: one chat, or several.
        source: the template; None for the tokenizer's own.
        options: further ones of `apply_chat_template`.

    Returns:
        A text, or one for each chat.

    Raises:
        BadData: the template refuses a chat, or comes to no end.
    """
    found = _applied(plain, chats, source, tokenize=False, **options)
    length = len(found) if isinstance(found, str) else sum(map(len, found))
    if length > LONGEST:
        raise BadData(f"the model's chat template writes {length:,} characters for a chat")
    return found


def render_ids(plain: Any, chat: Any, *, sanitize: bool = False, **options: Any) -> list[int]:
    """The ids of a chat by the tokenizer's own template, as `apply_chat_template` gives them.

    Args:
        plain: the tokenizer as transformers reads it.
        chat: one.
        sanitize: let no content become a control token.
        options: further ones of `apply_chat_template`.

    Raises:
        BadData: as `render`.
    """
    render(plain, chat, **options)  # a text without an end never comes to the tokenizer
    ids: list[int] = _applied(
        plain, chat, None, return_dict=False, sanitize_control_tokens=sanitize, **options
    )
    return ids


def _applied(plain: Any, chats: Sequence[Any], source: str | None, **options: Any) -> Any:
    try:
        if source is None:
            source = plain.get_chat_template(tools=options.get("tools"))
        _check(source)
        with limited(SECONDS):
            return plain.apply_chat_template(chats, chat_template=source, **options)
    except Exception as error:
        raise BadData(f"the model's chat template refuses it: {said(error)}") from error


@lru_cache(maxsize=32)
def _check(source: str) -> None:
    """Refuse what writes nothing, and powers and huge numbers.

    One operation on such numbers can neither be timed nor stopped.
    """
    from jinja2 import Environment

    if not source.strip():
        raise ValueError("it is empty; name another template")
    for line, kind, value in Environment(autoescape=True).lex(source):
        if (kind == "operator" and value == "**") or (
            kind == "integer" and int(value.replace("_", ""), 0) >= _LARGEST
        ):
            raise ValueError(f"line {line} has {value}, which may take all memory")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End the block with a `TimeoutError` after a time; only the main thread can be stopped so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} seconds")

    handler = signal.signal(signal.SIGALRM, stop)
    before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)
