import pytest

from kollama2.evaluation.fidelity import hangul_share, measure_answer, repetition

IDS = list(range(12))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("서울은 대한민국의 수도입니다.", 1),
        ("Python 3을 설치하고 나서 다시 실행하세요.", 1),
        ("1. 사과\n2. 배\n\n3. 감", 1),
        ("값은 다음과 같습니다.\n42", 1),
        ("Seoul is the capital.", 0),
        ("서울입니다.\nSeoul is the capital.", 0),
        ("The word 서울 is Korean.", 0),
        ("ソウルは首都です", 0),
        ("서울\ufffd", 0),
        ("", 0),
        (" \n ", 0),
        ("42", 0),
    ],
)
def test_fidelity(text: str, good: int) -> None:
    assert measure_answer(text, IDS, stopped=True).fidelity == good


def test_a_loop_is_not_faithful() -> None:
    looped = measure_answer("네 네 네 네 네 네", [5] * 12, stopped=False)
    assert looped.repetition == pytest.approx(8 / 9)
    assert (looped.fidelity, looped.eos) == (0, 0)


def test_shares_by_hand() -> None:
    found = measure_answer("가나 ab\nabc\n다", IDS, stopped=True)
    assert found.hangul_share == pytest.approx(3 / 8)
    assert found.line_pass == pytest.approx(2 / 3)
    assert (found.empty, found.invalid_utf8, found.eos) == (0, 0, 1)


def test_mixed_words_are_those_with_another_script_after_hangul() -> None:
    found = measure_answer("Python을 한국en 배 우aㅏ 3개", IDS, stopped=True)
    assert found.mixed_script == pytest.approx(2 / 5)


def test_jamo_are_hangul_and_nothing_has_no_share() -> None:
    assert hangul_share("ㅋㅋ ha") == pytest.approx(0.5)
    assert hangul_share("12 !") == 0


def test_repetition_by_hand() -> None:
    assert repetition([1, 2, 3]) == 0
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 / 5)
