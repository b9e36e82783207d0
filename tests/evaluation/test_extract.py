"""What is extracted from answers: letters of choices and numbers, by the stated rules."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.evaluation.extract import letter, number, written

LETTERS = "ABCD"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("정답: C", "C"),
        ("**정답:** C", "C"),
        ("정답은 **B. 서울**입니다.", "B"),
        ("정답은 (D)번입니다.", "D"),
        ("답: 'A'", "A"),
        ("최종 답변: B", "B"),
        ("The correct answer is (B).", "B"),
        ("Therefore the answer is option C.", "C"),
        ("ANSWER: D", "D"),
        ("따라서 $\\boxed{\\text{B}}$", "B"),
        ("Answer: \\boxed{C}", "C"),
        # The last one counts, also where a first thought was another.
        ("정답: A\n다시 보면 그렇지 않습니다.\n정답: D", "D"),
        ("정답은 A입니다. 오답은 B입니다.", "A"),
        ("정답은 A가 아닙니다. 최종 답: B", "B"),
        # Without an announcement the answer itself must be the letter.
        ("C", "C"),
        (" (C) ", "C"),
        ("C. 서울", "C"),
        ("C번", "C"),
        ("A는 틀리고 B도 틀립니다.", None),
        ("A. 서울\nB. 부산", None),
        # Nothing, several at once, or no choice of this item.
        ("", None),
        ("모르겠습니다.", None),
        ("정답: A, B", None),
        ("정답: A 또는 B", None),
        ("A, B", None),
        ("정답: E", None),
        ("정답: CD", None),
        ("정답: ②", None),
        ("오답: A", None),
        ("대답 A", None),
        ("정답은 a입니다.", None),
    ],
)
def test_a_letter_is_what_follows_the_last_announcement(text: str, expected: str | None) -> None:
    assert letter(text, LETTERS) == expected


def test_only_letters_of_the_item_count() -> None:
    assert letter("정답: E", "ABCDE") == "E"
    assert letter("정답: J", "ABCDEFGHIJ") == "J"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("정답: 1,234", "1234"),
        ("답은 12명입니다(한 사람에 3개).", "12"),
        ("정답: 3 + 4 = 7", "7"),
        ("정답: 50%", "50"),
        ("정답은 ₩5,000입니다.", "5000"),
        ("#### 72", "72"),
        ("The answer is $18.", "18"),
        # A box is stronger than what is announced, the last box than those before it.
        ("정답: 3\n\\boxed{4} 또는 \\boxed{5}", "5"),
        ("\\boxed{x = 12}", "12"),
        ("\\boxed{\\frac{3}{4}}", "0.75"),
        ("\\boxed{-2\\frac12}", "-2.5"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{1{,}234\\text{ 원}}", "1234"),
        ("\\boxed{1\\,000}", "1000"),
        # What is no number is none: roots, powers, a cut box that only words follow.
        ("\\boxed{2\\sqrt{3}}", None),
        ("\\boxed{2^{10}}", None),
        ("\\boxed{C}", None),
        ("10^{3}", None),
        ("1e5", None),
        ("답이 없습니다.", None),
        ("", None),
        ("1" * 20_000, None),
        ("1/0", "0"),
        # Korean and English units.
        ("답은 3만 5천원입니다.", "35000"),
        ("1억 2천만 원", "120000000"),
        ("3만 5,000원", "35000"),
        ("1만2345", "12345"),
        ("3조 5천억 원", "3500000000000"),
        ("2천5백만", "25000000"),
        ("3 million people", "3000000"),
        ("1.5 billion", "1500000000"),
        # Words that only begin like units.
        ("10만큼 큽니다.", "10"),
        ("피자 3조각", "3"),
        # Without announcement the last number of the text.
        ("5개에서 3개를 빼면 2개", "2"),
        ("영하 −7도", "-7"),
        ("10-4", "4"),
        ("3/4", "0.75"),
        ("1 1/2", "1.5"),
        ("1/3", "1/3"),
        (".5", "0.5"),
        ("3.50", "3.5"),
        ("합은 12.", "12"),
    ],
)  # fmt: skip
def test_a_number_is_read_exactly(text: str, expected: str | None) -> None:
    value = number(text)
    assert (None if value is None else written(value)) == expected


@given(st.integers(-(10**15), 10**15))
def test_an_integer_is_read_back_in_any_form(value: int) -> None:
    for form in (f"{value}", f"{value:,}", f"{value}.0", f"\\boxed{{{value}}}", f"정답: {value}개"):
        assert number(form) == value


@given(st.fractions(-1000, 1000, max_denominator=200))
def test_a_fraction_is_written_and_read_back(value: Fraction) -> None:
    assert number(written(value)) == value
    assert Fraction(written(value)) == value


@given(st.integers(1, 9999), st.integers(0, 9999))
def test_a_group_of_ten_thousand_is_read_back(groups: int, rest: int) -> None:
    assert number(f"{groups}만 {rest:04d}" if rest else f"{groups}만") == groups * 10_000 + rest


@given(st.text(), st.sampled_from(LETTERS), st.sampled_from(["정답: {}", "Answer: {}", "답은 {}"]))
def test_what_stands_before_the_last_line_changes_no_letter(
    before: str, said: str, form: str
) -> None:
    assert letter(f"{before}\n{form.format(said)}", LETTERS) == said


@given(st.text(alphabet="정답은:=ABCD0123.,/ \\boxed{}만억조천 -^\n"))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    assert letter(text, LETTERS) in (*LETTERS, None)
    value = number(text)
    assert value is None or Fraction(written(value)) == value
