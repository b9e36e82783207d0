"""Rules that a program can check, one by one, and those that nobody can decide."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.evaluation.rules import followed, unknown

LEAST, LESS = "at least", "less than"


@pytest.mark.parametrize(
    ("name", "arguments", "good", "bad"),
    [
        ("punctuation:no_comma", {}, "쉼표가 없습니다.", "하나, 둘"),
        ("length_constraints:number_words", {"num_words": 3, "relation": LEAST},
         "나는 밥을 먹는다.", "나는 - 먹는다."),
        ("length_constraints:number_words", {"num_words": 3, "relation": "미만"},
         "나는 먹는다.", "나는 밥을 먹는다."),
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST},
         "값은 3.5입니다. 끝입니다.", "값은 3.5입니다."),
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LESS},
         "1. Mr. Kim left at five.", "가. 갑니다.\n나. 옵니다."),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
         "하나\n***\n둘", "하나\n\n둘"),
        ("length_constraints:nth_paragraph_first_word",
         {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "기업"},
         "하나\n\n기업은 큽니다.", "하나\n\n큰 기업은"),
        ("length_constraints:nth_paragraph_first_word",
         {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "however"},
         "However, it rains.", "Howevers rain."),
        ("keywords:existence", {"keywords": ["사과", "Seoul"]},
         "seoul에서 사과를 샀다.", "Seoulite가 사과를 샀다."),
        ("keywords:forbidden_words", {"forbidden_words": ["사진", "cat"]},
         "concatenate 그림", "사진을 찍다"),
        ("keywords:frequency", {"keyword": "봄", "frequency": 2, "relation": LEAST},
         "봄은 봄이다.", "봄은 온다."),
        ("keywords:letter_frequency",
         {"letter": "e", "let_frequency": 2, "let_relation": LESS}, "one", "Eve"),
        ("detectable_content:number_placeholders", {"num_placeholders": 2},
         "[이름]님, [주소]로", "[이름]님"),
        ("detectable_content:postscript", {"postscript_marker": "P.S."},
         "끝.\np. s. 또 봐요", "끝. 추신"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2},
         "* 하나\n- 둘", "* 하나\n* 둘\n* 셋"),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
         "*하나* 그리고 **둘**", "*하나* 그리고 2 * 3 * 4"),
        ("detectable_format:multiple_sections",
         {"section_spliter": "섹션", "num_sections": 2}, "섹션 1\n가\n섹션 2", "섹션 1\n섹션 1"),
        ("detectable_format:json_format", {}, '```json\n{"가": 1}\n```', "{가: 1}"),
        ("detectable_format:title", {}, "<<봄>>\n꽃", "<< >>\n꽃"),
        ("combination:two_responses", {}, "하나\n******\n둘", "하나\n******\n하나"),
        ("combination:repeat_prompt", {"prompt_to_repeat": "시를 써 주세요."},
         "시를  써 주세요.\n봄", "네. 시를 써 주세요."),
        ("startend:end_checker", {"end_phrase": "감사합니다."},
         '끝. "감사합니다."', "감사합니다. 끝."),
        ("startend:quotation", {}, '"네."', '"네." 하고'),
        ("change_case:english_capital", {}, "HELLO 1!", "HELLo"),
        ("change_case:english_lowercase", {}, "hello 1!", "Hello"),
        ("change_case:capital_word_frequency",
         {"capital_frequency": 1, "capital_relation": LESS}, "nasa", "NASA"),
        ("language:response_language", {"language": "ko"},
         "파이썬 Python은 쉽습니다.", "Python is 쉽다."),
        ("language:response_language", {"language": "th"}, "สวัสดี", "안녕"),
    ],
)  # fmt: skip
def test_a_rule_is_kept_or_broken(
    name: str, arguments: dict[str, Any], good: str, bad: str
) -> None:
    assert followed([name], [arguments], good) == [True]
    assert followed([name], [arguments], bad) == [False]
    # An empty answer follows nothing, whatever it must not contain.
    assert followed([name], [arguments], " \n") == [False]
    assert unknown([name], [arguments]) == []


def test_a_loop_of_brackets_is_no_json() -> None:
    assert followed(["detectable_format:json_format"], [{}], "[" * 20_000) == [False]
    assert followed(["detectable_format:json_format"], [{}], "1" * 20_000) == [False]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("detectable_format:constrained_response", {}),
        ("never:heard_of", {}),
        ("language:response_language", {"language": "de"}),
        ("language:response_language", {"language": "hi"}),
        ("keywords:letter_frequency", {"letter": "ㄱ", "let_frequency": 1, "let_relation": LEAST}),
        ("keywords:existence", {}),
        ("keywords:existence", {"keywords": ["봄", ""]}),
        ("keywords:forbidden_words", {"forbidden_words": []}),
        ("length_constraints:number_words", {"num_words": 3}),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}),
        ("length_constraints:number_words", {"num_words": None, "relation": LEAST}),
    ],
)
def test_a_rule_that_cannot_be_decided_is_unknown(name: str, arguments: dict[str, Any]) -> None:
    names, given_ = ["punctuation:no_comma", name], [{}, arguments]
    assert unknown(names, given_) == [name]
    assert followed(names, given_, "봄이 왔다.") == [True, None]


@given(st.text(), st.integers(0, 20))
def test_at_least_and_less_than_divide_all_texts(text: str, bound: int) -> None:
    for rule, key in (("number_words", "num_words"), ("number_sentences", "num_sentences")):
        both = [
            followed([f"length_constraints:{rule}"], [{key: bound, "relation": one}], text)[0]
            for one in (LEAST, LESS)
        ]
        assert sorted(map(bool, both)) == [False, bool(text.strip())]
