import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.safety.guard import REFUSAL_EN, REFUSAL_KO, Guard, Unsafe, refusal
from kollama2.safety.verdict import Dialog, Side, Verdict, last_text

ASKED: Dialog = [{"role": "user", "content": "말해 봐"}]


@dataclass
class Fake:
    """Finds a word unsafe; counts how often it was asked."""

    word: str = "나쁜말"
    name: str = "fake"
    asked: int = 0

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        self.asked += 1
        bad = self.word in last_text(dialog)
        return Verdict(not bad, float(bad), self.name, "word" if bad else "")


@dataclass
class Broken:
    act: Callable[[], object]
    name: str = "broken"

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        self.act()
        return Verdict(True, 0.0, self.name)


def fail() -> None:
    raise RuntimeError("secret text of the user")


def test_every_classifier_must_agree() -> None:
    guard = Guard([Fake("하나"), Fake("둘", "second")])
    assert guard.judge(ASKED, "input") == Verdict(True, 0.0, "fake")
    verdict = guard.judge([{"role": "user", "content": "둘"}], "input")
    assert verdict == Verdict(False, 1.0, "second", "word")


def test_errors_time_and_nobody_are_unsafe() -> None:
    verdict = Guard([Fake(), Broken(fail)]).judge(ASKED, "input")
    assert verdict == Verdict(False, 1.0, "broken", "no judgement: RuntimeError")
    slow = Guard([Broken(lambda: time.sleep(0.5))], timeout=0.02).judge(ASKED, "output")
    assert slow == Verdict(False, 1.0, "broken", "no judgement within 0.02 seconds")
    assert not Guard([]).judge(ASKED, "input").safe


def shown(guard: Guard, pieces: Sequence[str]) -> tuple[str, bool]:
    said = ""
    try:
        for piece in guard.screen(ASKED, pieces):
            said += piece
    except Unsafe as stopped:
        assert not stopped.verdict.safe
        return said, True
    return said, False


def cut(text: str, places: Sequence[int]) -> Iterator[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    start = 0
    for end in ends:
        yield text[start:end]
        start = end


@given(
    st.text("가나다 \n.abc", max_size=150), st.text("가나다 \n.abc", max_size=150), st.booleans(),
    st.lists(st.integers(0, 400), max_size=12),
)  # fmt: skip
def test_chunks_change_nothing_and_an_unsafe_span_is_never_shown(
    before: str, after: str, bad: bool, places: list[int]
) -> None:
    text = before + ("나쁜말" if bad else "") + after
    guard = Guard([Fake()])
    found = shown(guard, list(cut(text, places)))
    assert found == shown(guard, [text])
    assert found[1] == bad
    if bad:
        assert text.startswith(found[0])
        assert len(found[0]) <= len(before)
    else:
        assert found[0] == text


def test_a_long_answer_is_shown_while_it_grows() -> None:
    guard = Guard([Fake()], every=10, hold=20)
    pulled = 0

    def pieces() -> Iterator[str]:
        nonlocal pulled
        for _ in range(100):
            pulled += 1
            yield "가"

    stream = guard.screen(ASKED, pieces())
    assert next(stream) == "가" * 10
    assert pulled == 30
    assert "".join(stream) == "가" * 90


def test_a_classifier_that_fails_later_stops_the_stream() -> None:
    calls = 0

    def act() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            fail()

    said, stopped = shown(Guard([Broken(act)], every=10, hold=10), ["가" * 10] * 9)
    assert (said, stopped) == ("가" * 20, True)


@pytest.mark.parametrize(
    ("text", "answer"), [("hello", REFUSAL_EN), ("", REFUSAL_EN), ("hello 안녕", REFUSAL_KO)]
)
def test_the_refusal_speaks_the_users_language(text: str, answer: str) -> None:
    assert refusal(text) == answer
