"""Faults: every error that a user can cause, each with one clear sentence and an exit code.

The codes are those of `sysexits.h`, so that a scheduler can tell "fix your data" from "try again".
A fault's message says what was wrong, with the value, and what to do; it never needs a traceback.
"""

import unicodedata
from typing import ClassVar


class Fault(ValueError):
    """Something outside the program is wrong and the user can mend it."""

    exit_code: ClassVar[int] = 65


class BadUsage(Fault):
    """A command, a study or a recipe says something that cannot be meant (exit 64)."""

    exit_code = 64


class BadData(Fault):
    """An input file does not hold what it should (exit 65)."""

    exit_code = 65


class Missing(Fault):
    """A dependency, a device or a kernel that the request needs is not here (exit 69)."""

    exit_code = 69


class StorageTrouble(Fault):
    """A folder cannot be read or written (exit 74)."""

    exit_code = 74


class TryLater(Fault):
    """Nothing is lost; the same command continues later: disk full, preempted (exit 75)."""

    exit_code = 75


class Corrupt(Fault):
    """A stored file differs from its manifest (exit 76)."""

    exit_code = 76


class Denied(Fault):
    """Permission refused: a gated repository, an expired link, a missing token (exit 77)."""

    exit_code = 77


class Notice(UserWarning):
    """Something that a user should know and that stops nothing; the command line prints it."""


def first_line(error: BaseException) -> str:
    """What an error of another library says first; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """All that an error of another library says, without its line breaks."""
    return " ".join(str(error).split())


def visible(text: str) -> str:
    """Text with its invisible dangers made visible: control, bidi and broken characters."""
    return "".join(_seen(one) for one in text) if not text.isprintable() else text


def _seen(one: str) -> str:
    kind = unicodedata.category(one)
    if one in "\n\t":
        return one
    if kind == "Cc":
        return chr(0x2400 + ord(one)) if ord(one) < 0x20 else "\ufffd"
    if kind == "Cs":
        return "\ufffd"
    # Format characters reorder or hide what follows, but joiners are part of emoji and scripts.
    if kind == "Cf" and one not in "\u200c\u200d":
        return f"⟨U+{ord(one):04X}⟩"
    return one
