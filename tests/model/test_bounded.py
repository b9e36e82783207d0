"""Chat templates that come to no end."""

import json
import signal
import time
from pathlib import Path

import pytest

from kollama2.errors import BadData
from kollama2.model.bounded import limited, render
from kollama2.model.folder import ModelFolder
from tests.model import folders

ASK = [{"role": "user", "content": "u"}]
NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"


@pytest.fixture
def plain(tmp_path: Path) -> object:
    folder = folders.byte_level(tmp_path / "tokenizer", "{{ messages }}", ["<s>"], eos="<s>")
    return ModelFolder.read(folder).plain_tokenizer


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (NESTED, "it takes longer than 0.2 seconds"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "maximum recursion depth exceeded"),
        ("{{ 10 ** 10 ** 10 }}", r"line 1 has \*\*, which may take all memory"),
        ("\n{{ 'x' * 10000000000 }}", "line 2 has 10000000000, which may take all memory"),
        ("{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}", "writes 99,980,001 characters"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{% include 'x' %}", "no loader for this environment"),
    ],
)
def test_a_template_without_an_end_is_refused(
    source: str, reason: str, plain: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == NESTED:
        monkeypatch.setattr("kollama2.model.bounded.SECONDS", 0.2)
    with pytest.raises(BadData, match=reason):
        render(plain, ASK, source)


def test_stars_in_its_text_are_no_power(plain: object) -> None:
    assert render(plain, ASK, "**{{ messages[0].content }}** 100000000") == "**u** 100000000"


def test_an_endless_template_of_a_folder_ends(copied: Path) -> None:
    path = copied / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": NESTED}))
    began = time.monotonic()
    with pytest.raises(BadData, match="chat template refuses it: it takes longer than 3 seconds"):
        ModelFolder.read(copied).encoder()
    assert time.monotonic() - began < 30


def test_another_timer_goes_on() -> None:
    before = signal.getitimer(signal.ITIMER_REAL)
    with limited(100):
        assert 99 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    assert abs(signal.getitimer(signal.ITIMER_REAL)[0] - before[0]) < 5
