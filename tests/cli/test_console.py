import json

import pytest
from rich.table import Table
from rich.text import Text

from kollama2.cli import app, console
from kollama2.errors import visible

ODD = "\x1b[31m빨강\x07 \u202e거꾸로\u2069\x9b\ud800"
SEEN = "␛[31m빨강␇ ⟨U+202E⟩거꾸로⟨U+2069⟩\ufffd\ufffd"


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert visible(ODD) == SEEN
    assert visible("한 줄\n\t👨‍👩‍👧") == "한 줄\n\t👨‍👩‍👧"


def test_no_table_or_text_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    screen = console.out()
    table = Table("열")
    table.add_row(ODD.replace("\x07", ""))
    screen.print(table)
    screen.print(Text(ODD.replace("\x07", "")), "[bold]굵게[/bold]")
    shown = capsys.readouterr().out
    assert shown.count("␛[31m빨강 ⟨U+202E⟩거꾸로⟨U+2069⟩") == 2
    assert "굵게" in shown
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


def test_styles_stay_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console.out().print("[bold]굵게[/bold] \x1b[2J")
    assert "\x1b[1m굵게\x1b[0m ␛[2J" in capsys.readouterr().out


def test_json_escapes_and_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": ODD.replace("\ud800", "")}
    console.print_json(value)
    printed = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\x9b"} & set(printed)
    assert json.loads(printed) == value


def test_a_fault_shows_what_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    app._say(f"there is no file {ODD}")
    assert capsys.readouterr().err == f"kollama2: there is no file {SEEN}\n"
