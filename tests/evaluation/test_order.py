"""Words in no order are told from text by their endings."""

import itertools
import math
import random
import statistics

import pytest

from kollama2.evaluation import order
from kollama2.evaluation.order import END, START, is_disordered, kind_of

TEXT = (
    "우리 동네 도서관은 주말에도 문을 열기 때문에 아이들이 많이 찾아옵니다. 책을 빌리려면 먼저 "
    "회원 카드를 만들어야 하는데, 주소를 확인할 수 있는 서류를 가져가면 바로 받을 수 있습니다."
)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("동네는", "는"), ("갑니다.", "다."), ('"갑니다!"', "다."), ("(서울),", "울,"), ("3", "0"),
        ("C++", "#"), ("Rust", "A"), ("Rust.", "A."), ("네…", "네."), ("—", "#"), ('""', ""),
    ],
)  # fmt: skip
def test_the_kind_of_a_word(word: str, kind: str) -> None:
    assert kind_of(word) == kind


def test_the_measure_is_that_of_all_orders() -> None:
    kinds = ["은", "을", "고", "다.", "은"]
    table = order._table()

    def total(kinds: tuple[str, ...]) -> float:
        return sum(table[pair] for pair in zip((START, *kinds), (*kinds, END), strict=True))

    every = [total(one) for one in itertools.permutations(kinds)]
    found = order._order(kinds, table)
    # The mean is exact; the variance takes neighbours as if they were drawn apart.
    assert math.copysign(1, found) == math.copysign(1, total(tuple(kinds)) - statistics.mean(every))
    middle = min(every, key=lambda one: abs(one - statistics.mean(every)))
    at = next(p for p in itertools.permutations(kinds) if total(p) == middle)
    assert abs(order._order(at, table)) < 0.2


def test_text_has_an_order_and_shuffled_words_have_none() -> None:
    words, draw = TEXT.split(), random.Random(0)
    assert not is_disordered(TEXT)
    orders = [" ".join(draw.sample(words, len(words))) for _ in range(100)]
    assert sum(map(is_disordered, orders)) >= 80


@pytest.mark.parametrize(
    "text",
    [
        "사과, 배, 감, 밤, 귤, 포도, 딸기, 수박, 참외, 자두, 복숭아, 살구, 매실",
        "1. 손을 씻기 2. 물을 마시기 3. 잠을 자기 4. 책을 읽기 5. 운동을 하기 6. 산책을 하기",
        "`print` 는 화면에 글을 쓰는 함수이고 `input` 은 글을 받는 함수이고 둘은 다른 함수이다.",
        " ".join(["열었다. 문을 도서관은"] * 3),
        "",
    ],
)
def test_lists_code_and_short_texts_are_not_judged(text: str) -> None:
    assert not is_disordered(text)
