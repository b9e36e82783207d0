"""The Korean catalogue holds every message of the code and no other, and is compiled."""

import re
import runpy
import string
from pathlib import Path
from typing import Any

import pytest
import typer.core
from babel.messages.mofile import read_mo

from kollama2 import locale
from kollama2.cli import language
from kollama2.locale import Count, Message, say

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "catalogue.py"))


@pytest.fixture(scope="module")
def korean(script: dict[str, Any]) -> dict[str, str]:
    """The catalogue as it is kept: message and translation."""
    return {one.id: one.string for one in script["known"]() if one.id}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_it_holds_the_messages_of_the_code_and_no_others(
    script: dict[str, Any], korean: dict[str, str]
) -> None:
    """Where it does not: `just catalogue`, and a translation for what is new."""
    assert set(korean) == {one.id for one in script["messages"]() if one.id}


def test_what_is_compiled_is_what_is_written(
    script: dict[str, Any], korean: dict[str, str]
) -> None:
    """Where it is not: `just catalogue`."""
    with script["PO"].with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert {one.id: one.string for one in compiled if one.id} == korean


def test_every_message_is_translated_with_the_same_places(korean: dict[str, str]) -> None:
    for message, said in korean.items():
        assert said.strip(), message
        assert places(said) == places(message), message
        assert re.findall(r"\[/?\w*\]", said) == re.findall(r"\[/?\w*\]", message), message
        assert bool(re.search("[가-힣]", said)) or not re.search("[a-z] [a-z]", message), message
        for edge in (str.isspace,):
            assert edge(said[0]) == edge(message[0]) and edge(said[-1]) == edge(message[-1]), (
                message
            )


def test_no_particle_depends_on_a_name_that_nobody_knows(korean: dict[str, str]) -> None:
    either = re.compile(r"\(가\)|\(는\)|\(를\)|\(으\)|\(과\)|}(은|는|이|을|를|와|과|로|으로)\b")
    assert [said for said in korean.values() if either.search(said)] == []


def test_what_is_within_an_f_string_is_collected_and_other_functions_are_not(
    script: dict[str, Any],
) -> None:
    code = "from kollama2.locale import say\nf\"{say('in' 'side')}\"\nsay(text)\nmark(\"other\")\n"
    assert script["marked"](code) == ["inside"]
    assert script["marked"]('say("nothing")') == []


def test_typer_looks_up_what_it_is_said_to() -> None:
    code = Path(typer.core.__file__).read_text(encoding="utf-8")
    assert [text for text in language.LOOKED_UP if f'_("{text}")' not in code] == []


@pytest.fixture
def in_korean() -> Any:
    locale.choose("ko")
    yield
    locale.choose("en")


def test_messages_are_english_until_a_language_is_chosen(in_korean: None) -> None:
    assert say("{time:.0f} minutes", time=2.0) == "2분"
    assert say("never translated") == "never translated"
    message = Message("waiting: {count:stage} to compute", {"count": 1200})
    assert message.said() == "대기 중: 계산할 단계 1,200개"
    assert str(message) == "waiting: 1,200 stages to compute"
    locale.choose("en")
    assert say("{time:.0f} minutes", time=2.0) == "2 minutes"
    with pytest.raises(ValueError, match="'fr' is no language of kollama2; use en or ko"):
        locale.choose("fr")  # type: ignore[arg-type]


def test_a_count_is_a_number_where_a_number_is_asked_for() -> None:
    assert f"{Count(1):stage}, {Count(2000):stage}, {Count(2000)}" == "1 stage, 2,000 stages, 2,000"
    assert f"{Count(18_871_353_344):.1e} {Count(7):03} {Count(7):>3}" == "1.9e+10 007   7"


@pytest.mark.parametrize(
    ("set_to", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "kok_IN"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.EUC-KR", "LC_ALL": ""}, "ko"),
        ({"LANG": "fr_FR"}, "en"),
    ],
)
def test_the_environment_asks_for_a_language(
    monkeypatch: pytest.MonkeyPatch, set_to: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert locale.wanted() == language
