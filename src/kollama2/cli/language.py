"""The language of the command line: `--lang`, and help whose texts come from the catalogue."""

import gettext
import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import typer

from kollama2 import locale
from kollama2.locale import mark, say

# Behind each character of two columns, so that typer, which counts characters, wraps in time.
_SECOND = "\u2060"
_USAGE = mark("Usage: ")
LOOKED_UP = (
    mark("Arguments"),
    mark("Options"),
    mark("Commands"),
    mark("required"),
    mark("default: {default}"),
    mark("env var: {var}"),
)
"""What typer itself looks up with gettext."""
_WRONG = (
    mark("No such command {name}. Did you mean {near}?"),
    mark("No such command {name}."),
    mark("Missing command."),
    mark("No such option: {name} (Possible options: {near})"),
    mark("No such option: {name}"),
    mark("Missing argument {name}."),
    mark("Missing option {name}."),
    mark("Option {name} requires an argument."),
    mark("Got unexpected extra argument(s) ({names})"),
    mark("Invalid value for {name}: {why}"),
    mark("Value error, {value} is not one of {known}."),
    mark("Input should be a valid integer, unable to parse string as an integer"),
    mark("Input should be a valid number, unable to parse string as a number"),
    mark("Input should be greater than or equal to {least}"),
    mark("Input should be less than or equal to {most}"),
)
"""What typer says of a command line, in English only."""


def first(arguments: list[str]) -> list[str]:
    """The arguments with `--lang` in front, where it is an option of the program.

    Users may write it behind a command too; what follows `--` is left alone.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given, rest, ahead = list[str](), list[str](), iter(arguments[:end])
    for one in ahead:
        if one == "--lang":
            given.append(f"--lang={next(ahead, '')}")
        else:
            (given if one.startswith("--lang=") else rest).append(one)
    return [*given, *rest, *arguments[end:]]


def choose(arguments: list[str]) -> None:
    """Take the language that `--lang` in front of the arguments names, or the environment's."""
    asked = [one.partition("=")[2] for one in arguments if one.startswith("--lang=")]
    language = next((one for one in locale.LANGUAGES if one in asked[-1:]), locale.wanted())
    locale.choose(language)
    if language != "en":
        # gettext, with which typer looks up a few words, asks this variable first.
        os.environ["LANGUAGE"] = language
        gettext.bindtextdomain(locale.DOMAIN, locale.FOLDER)
        gettext.textdomain(locale.DOMAIN)


def translate(command: Any) -> None:
    """Put the help of a command, and of all below it, into the chosen language.

    Args:
        command: as `typer.main.get_command` made it.
    """
    for one, helped in _every(command):
        one.context_class = _Context
        one.epilog = one.epilog and say(one.epilog)
        for each in helped:
            each.help = say(each.help)


def texts(command: Any) -> set[str]:
    """Every text that `translate` looks up."""
    every = list(_every(command))
    helps = {each.help for _, helped in every for each in helped}
    return helps | {one.epilog for one, _ in every if one.epilog}


def _every(command: Any, parent: Any = None) -> Iterator[tuple[Any, list[Any]]]:
    """The commands, each with what has a help: itself, its arguments and its options."""
    context = typer.Context(command, parent=parent, **command.context_settings)
    yield command, [one for one in (command, *command.get_params(context)) if one.help]
    for one in getattr(command, "commands", {}).values():
        yield from _every(one, context)


def usage(error: typer.TyperException) -> str:
    """What is wrong with the command line, in the chosen language."""
    return _heard(error.format_message())


def _heard(said: str) -> str:
    """An English sentence of typer's in the chosen language, and those in its places too."""
    for form in _WRONG:
        found = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(form)), said)
        if found:
            return say(form, **{name: _heard(value) for name, value in found.groupdict().items()})
    return said


def _wide(text: str) -> str:
    return "".join(
        one + _SECOND if unicodedata.east_asian_width(one) in "WF" else one for one in text
    )


_Plain: Any = typer.Context.formatter_class


class _Formatter(_Plain):  # type: ignore[misc]
    """Help that counts columns, not characters."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, _wide(say(_USAGE)))

    def write_text(self, text: str) -> None:
        super().write_text(_wide(text))

    def write_dl(self, rows: Any, *sizes: Any) -> None:
        super().write_dl([(name, _wide(text)) for name, text in rows], *sizes)

    def getvalue(self) -> str:
        return str(super().getvalue()).replace(_SECOND, "")


class _Context(typer.Context):
    formatter_class = _Formatter
