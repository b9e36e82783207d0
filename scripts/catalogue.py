"""Collect the messages of the code and of `--help` into the Korean catalogue, and compile it.

A new message comes with an empty translation, which a test refuses; one that is gone is removed.
"""

from io import BytesIO
from pathlib import Path

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
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
    keywords = {"say": None, "mark": None}
    for file, _, text, _, _ in extract_from_dir(SOURCE, [("**.py", "python")], keywords=keywords):
        found.add(text, locations=[(file, 0)])
    for text in sorted(language.texts(typer.main.get_command(app))):
        found.add(text, locations=[("--help", 0)])
    return found


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
