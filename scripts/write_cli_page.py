"""Write docs/cli.md, the page of all commands, from the commands themselves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from kollama2 import errors
from kollama2.cli.app import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
OPENING = """\
# The command line

This page is written by `python scripts/write_cli_page.py` from the commands and the errors; a test
compares it. `kollama2 COMMAND --help` prints the same on the terminal.

Results go to stdout, messages to stderr. `--json` prints data instead of tables, `NO_COLOR` is
respected. With `--lang ko`, before or behind a command, or `LANG=ko_KR.UTF-8`, messages and help
are Korean; `--json`, files and exit codes are the same.
"""
OTHER_CODES = {
    0: "Done.",
    70: "A defect of kollama2: the traceback is in the stage's `error.log`.",
    130: "Interrupted by Ctrl-C; nothing is lost.",
}


def page() -> str:
    """The page in Markdown: all commands in a table, exit codes, then each command."""
    root: Any = typer.main.get_command(app)
    every = dict(_commands(root, "kollama2"))
    table = [f"| [`{name}`](#{_anchor(name)}) | {_summary(one)} |" for name, one in every.items()]
    parts = [
        OPENING,
        "\n".join(["| command | what it does |", "|---|---|", *table]) + "\n",
        f"## Exit codes\n\n{_exit_codes()}",
        *(_section(name, one) for name, one in every.items()),
    ]
    return "\n".join(parts)


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _summary(command: Any) -> str:
    return _cell(command.help.partition("\n\n")[0])


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    rows = [_row(*parameter.get_help_record(context)) for parameter in command.params]
    head = ["| | | default, limits |", "|---|---|---|"]
    table = "\n".join([*head, *rows]) + "\n"
    return f"## {name}\n\n    {usage}\n\n{command.help.strip()}\n\n{table}"


def _row(names: str, text: str) -> str:
    found = re.fullmatch(r"(?s)(.*?)(?:  \[(.*)\])?", text)
    assert found is not None
    return f"| `{names}` | {_cell(found[1])} | {_cell(found[2] or '')} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _exit_codes() -> str:
    meanings = dict(OTHER_CODES)
    for fault in errors.Fault.__subclasses__():
        if fault.__module__ == errors.__name__:
            meaning = " ".join((fault.__doc__ or "").split())
            meanings[fault.exit_code] = meaning.replace(f" (exit {fault.exit_code})", "")
    rows = [f"| {code} | {meanings[code]} |" for code in sorted(meanings)]
    return "\n".join(["| code | meaning |", "|--:|---|", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
