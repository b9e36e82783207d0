"""Messages in the reader's language: English, or Korean by the catalogue in this folder.

English is what stands in the code; whoever has not chosen a language gets it, and so do files.
"""

import gettext
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

DOMAIN = "kollama2"
FOLDER = Path(__file__).parent
Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")

_chosen: Language = "en"
_catalogue = gettext.NullTranslations()


class Count(int):
    """A number with its thousands set off; `{count:item}` in a text says `1 item` or `2 items`."""

    def __format__(self, noun: str) -> str:
        if noun and not noun[0].isalpha():
            return format(int(self), noun)
        return f"{int(self):,}" + (f" {noun}" if noun else "") + ("s" if noun and self != 1 else "")


def choose(language: Language) -> None:
    """Have messages said in a language from now on, in this process.

    Args:
        language: `en` or `ko`.

    Raises:
        ValueError: it is neither.
    """
    global _chosen, _catalogue
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is no language of kollama2; use {' or '.join(LANGUAGES)}")
    _chosen = language
    _catalogue = gettext.translation(DOMAIN, FOLDER, languages=[language], fallback=True)


def chosen() -> Language:
    """The language that was chosen, English at first."""
    return _chosen


def wanted() -> Language:
    """The language that the environment asks for, by LC_ALL, else LC_MESSAGES, else LANG."""
    names = map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = re.split("[_.@-]", next(filter(None, names), ""))[0]
    return "ko" if language == "ko" else "en"


def say(text: str, **values: object) -> str:
    """A message in the chosen language, with its values filled in.

    Args:
        text: the English message, literally: the catalogue is collected from such calls.
        **values: what its `{names}` stand for; of a whole number `{name:noun}` says `2 nouns`.
    """
    text = _catalogue.gettext(text)
    return fill(text, values) if values else text


@dataclass(frozen=True)
class Message:
    """A message that a program gets in English, as its `str`, and a reader in the chosen language.

    Attributes:
        text: the English message, given to `mark` where it stands.
        values: what its names stand for; messages among them are said too.
    """

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return fill(self.text, self.values)

    def said(self) -> str:
        """The message in the chosen language."""
        values = {
            name: one.said() if isinstance(one, Message) else one
            for name, one in self.values.items()
        }
        return say(self.text, **values)


def fill(text: str, values: Mapping[str, object]) -> str:
    """A text with its values filled in; whole numbers are counts."""
    counted = {name: Count(one) if type(one) is int else one for name, one in values.items()}
    return text.format(**counted)


def mark(text: str) -> str:
    """The same text, collected for the catalogue here and said with `say` later."""
    return text
