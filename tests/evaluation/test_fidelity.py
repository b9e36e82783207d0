import csv
import json
import random
from pathlib import Path

import pytest

from kollama2.evaluation.faults import stock_phrases
from kollama2.evaluation.fidelity import measure_answer
from kollama2.miniature import suite as miniature


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("서울은 대한민국의 수도입니다.", []),
        ("네, 맞습니다.", []),
        ("42", []),
        ("👍", []),
        ("값은 다음과 같습니다.\n42", []),
        ("서울입니다.\nSeoul is the capital.", ["foreign"]),
        ("서울\ufffd", ["invalid_utf8"]),
        ("", ["empty"]),
        (" \n ", ["empty"]),
        ("...", ["empty"]),
        ("서울 [/INST]", ["leak"]),
        ("네 네 네 네 네 네 네 네 네 네 네 네", ["loop"]),
        ("대한민국의 수도는 어디입니까?", ["echo"]),
    ],
)
def test_faults(text: str, faults: list[str]) -> None:
    found = measure_answer(text, stopped=True, question="대한민국의 수도는 어디입니까?")
    assert found.faults() == faults
    assert found.fidelity == (not faults)


def test_what_the_reference_says_is_right() -> None:
    asked = "따라 하세요: 간장 공장 공장장은 강 공장장이다."
    said = "따라 하세요: 간장 공장 공장장은 강 공장장이다."
    assert measure_answer(said, stopped=True, question=asked).faults() == ["echo"]
    right = measure_answer(said, stopped=True, question=asked, reference=said)
    assert right.fidelity == 1
    assert measure_answer("긍정", stopped=True, reference="긍정", stock=True).fidelity == 1
    assert measure_answer("부정", stopped=True, reference="긍정", stock=True).faults() == ["stock"]


def test_another_language_is_right_where_it_is_asked_for() -> None:
    english = "The weather is nice today."
    for question, reference in (("영어로 번역하세요: 날씨가 좋네요.", None), ("날씨", english)):
        found = measure_answer(english, stopped=True, question=question, reference=reference)
        assert (found.fidelity, found.foreign, found.line_pass) == (1, 0, 0)
    assert measure_answer(english, stopped=True, question="날씨는?").faults() == ["foreign"]


def test_shares_by_hand() -> None:
    found = measure_answer("가나 is it\nthis is that\n다", stopped=True)
    assert found.hangul_share == pytest.approx(3 / 17)
    assert found.line_pass == pytest.approx(1 / 3)
    assert (found.empty, found.invalid_utf8, found.eos) == (0, 0, 1)


def test_mixed_words_are_those_with_another_script_after_hangul() -> None:
    found = measure_answer("Python을 한국en 배 우aㅏ 3개", stopped=True)
    assert found.mixed_script == pytest.approx(2 / 5)


def test_right_answers_of_the_miniature_are_faithful() -> None:
    rows = miniature.items("answers-ko")
    answers = [(row["messages"][-1]["content"], row["reference"]) for row in rows]
    assert (len(answers), faulty(answers)) == (40, 0)


def koalpaca(folder: Path) -> list[tuple[str, str]]:
    path = folder / "instruct_ko/Volume21__github_test/ko_alpaca_data.open.json"
    if not path.is_file():
        pytest.skip("not among the data here")
    rows = json.loads(path.read_text(encoding="utf-8"))
    random.Random(0).shuffle(rows)
    return [(f"{row['instruction']}\n{row['input']}".strip(), row["output"]) for row in rows[:2000]]


def faulty(pairs: list[tuple[str, str]], *, stopped: bool = True) -> int:
    stock = stock_phrases([answer for _, answer in pairs])
    return sum(
        measure_answer(answer, stopped=stopped, question=question, stock=common).fidelity == 0
        for (question, answer), common in zip(pairs, stock, strict=True)
    )


def test_real_answers_are_faithful(real_data: Path) -> None:
    """All but 16 of 2,000; the journal says which."""
    assert faulty(koalpaca(real_data)) == 16


def test_cheap_tricks_are_not(real_data: Path) -> None:
    path = real_data / "eval_ko/for-ai__language-confusion/crosslingual__okapi__ko.csv"
    if not path.is_file():
        pytest.skip("not among the data here")
    with path.open(encoding="utf-8", newline="") as stream:
        questions = [row["prompt"] for row in csv.DictReader(stream)]
    questions += [question for question, _ in koalpaca(real_data) if len(question) > 30][:100]
    answers = [answer for _, answer in koalpaca(real_data)]
    for trick in (
        ["네."] * 200,
        questions,
        ["I'm sorry, but I can only answer in English."] * 200,
        [f"{answer} [/INST]" for answer in answers],
        [f"{answer}\n### Response:" for answer in answers],
    ):
        assert faulty(list(zip(questions, trick, strict=False))) == 200
