"""Collect the messages of the code and of `--help` into the Korean catalogue, and compile it.

A new message comes with an empty translation, which a test refuses; one that is gone is removed.
"""

import ast
from io import BytesIO
from pathlib import Path

import typer
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from kollama2 import locale
from kollama2.cli import language
from kollama2.cli.app import app

SOURCE = locale.FOLDER.parent
PO = locale.FOLDER / "ko" / "LC_MESSAGES" / f"{locale.DOMAIN}.po"


def messages() -> Catalog:
    """Every message that can be said, in the order of the files; then those of `--help`."""
    found = Catalog()
    for file in sorted(SOURCE.rglob("*.py")):
        for words in marked(file.read_text(encoding="utf-8")):
            found.add(words, locations=[(file.relative_to(SOURCE).as_posix(), 0)])
    for words in sorted(language.texts(typer.main.get_command(app))):
        found.add(words, locations=[("--help", 0)])
    return found


def marked(code: str) -> list[str]:
    """The literal texts that a module gives to `say` and `mark`, in their order."""
    tree = ast.parse(code)
    taken = {
        name.name
        for one in ast.walk(tree)
        if isinstance(one, ast.ImportFrom) and one.module == "kollama2.locale"
        for name in one.names
    }
    calls = [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Name)
        and one.func.id in taken & {"say", "mark"}
    ]
    first = [one.args[0] for one in sorted(calls, key=lambda one: (one.lineno, one.col_offset))]
    literal = [one.value for one in first if isinstance(one, ast.Constant)]
    return [one for one in literal if isinstance(one, str)]


def known(file: Path = PO) -> Catalog:
    """The catalogue as it is kept."""
    with file.open("rb") as text:
        return read_po(text, locale="ko", domain=locale.DOMAIN)


def updated() -> Catalog:
    """The catalogue with all messages of today and no others."""
    catalogue, today = known(), messages()
    today.creation_date = catalogue.creation_date
    catalogue.update(today, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def text(catalogue: Catalog) -> bytes:
    """The catalogue as a .po file."""
    written = BytesIO()
    write_po(written, catalogue, width=100, include_lineno=False)
    return written.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue as the .mo file that Python's gettext reads."""
    written = BytesIO()
    write_mo(written, catalogue)
    return written.getvalue()


if __name__ == "__main__":
    found = updated()
    PO.write_bytes(text(found))
    PO.with_suffix(".mo").write_bytes(compiled(found))
    for one in found:
        if one.id and not one.string:
            print(f"not translated: {one.id!r}")
    print(PO)
