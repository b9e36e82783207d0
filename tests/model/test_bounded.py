"""Chat templates that come to no end."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kollama2.errors import BadData
from kollama2.model.bounded import limited, render, render_ids
from kollama2.model.folder import ModelFolder
from tests.jsons import change
from tests.model import folders

ASK = [{"role": "user", "content": "u"}]
NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"


@pytest.fixture
def plain(tmp_path: Path) -> Any:
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
    change(copied / "tokenizer_config.json", chat_template=NESTED)
    began = time.monotonic()
    with pytest.raises(BadData, match="chat template refuses it: it takes longer than 3 seconds"):
        ModelFolder.read(copied).encoder()
    assert time.monotonic() - began < 30


def test_ids_are_those_of_transformers_and_bounded(plain: Any) -> None:
    plain.chat_template = "<s>{{ messages[0].content }}{{ '?' if add_generation_prompt }}"
    chat = [{"role": "user", "content": "u <s> 안"}]
    theirs = plain.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert render_ids(plain, chat, add_generation_prompt=True) == theirs
    assert theirs.count(plain.eos_token_id) == 2
    safe = render_ids(plain, chat, sanitize=True)
    assert safe.count(plain.eos_token_id) == 1
    assert plain.decode(safe) == "<s>u <s> 안"
    plain.chat_template = "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}"
    with pytest.raises(BadData, match="writes 99,980,001 characters"):
        render_ids(plain, chat)


def test_only_the_main_thread_has_an_end() -> None:
    ended: list[bool] = []

    def work() -> None:
        with limited(0.05):
            time.sleep(0.2)
        ended.append(True)

    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[1]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[1]) == before
    with pytest.raises(TimeoutError, match=r"it takes longer than 0\.05 seconds"), limited(0.05):
        time.sleep(5)


def test_another_timer_goes_on() -> None:
    before = signal.getitimer(signal.ITIMER_REAL)
    with limited(100):
        assert 99 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    assert abs(signal.getitimer(signal.ITIMER_REAL)[0] - before[0]) < 5
