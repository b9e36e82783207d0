import random

import pytest

from kollama2.evaluation.faults import (
    covered,
    is_echo,
    is_gibberish,
    is_loop,
    leaks,
    repetition,
    stock_phrases,
    template_marks,
)
from kollama2.model.templates import FORMS, TEMPLATES

QUESTION = "하와이에서 꼭 가 봐야 할 곳을 세 군데 알려 주세요. 아이와 함께 갑니다."


def test_a_phrase_is_stock_from_a_tenth_of_the_answers_and_three_on() -> None:
    own = [a + b for a in "가나다라마" for b in "바사아자차"]
    assert stock_phrases(["네.", "네!", "아니요."]) == [False, False, False]
    assert stock_phrases(["네.", "네!", " 네", "아니요."]) == [True, True, True, False]
    assert stock_phrases(["네."] * 3 + own).count(True) == 3
    assert stock_phrases(["네."] * 3 + own + ["아니요."] * 3).count(True) == 0
    # One phrase with a new word in it is the same phrase.
    assert all(stock_phrases([f"{one}에 대해서는 전문가에게 물어보세요." for one in own]))
    assert stock_phrases(["", "", "", ""]) == [False] * 4


@pytest.mark.parametrize(
    ("answer", "stopped", "echo"),
    [
        (QUESTION, True, True),
        (f"질문: {QUESTION}\n답변:", True, True),
        (QUESTION.replace(" ", "") + "!!", True, True),
        (f"{QUESTION}\n{QUESTION}", True, True),
        (QUESTION[:20], False, True),
        ("네, 하와이에서 꼭 가 봐야 할 곳을 세 군데 알려 주세요.", True, True),
        # Cut before it said anything of its own.
        ("아이와 함께 갑니다. 하와이에서 꼭 가 봐야", False, True),
        ("하와이에서 꼭 가 봐야 할 곳은 와이키키와 진주만, 다이아몬드 헤드입니다.", True, False),
        (QUESTION + " 와이키키 해변, 진주만, 다이아몬드 헤드를 권합니다. 모두 아이와 가기 좋아요.",
         True, False),
        ("아이와 함께", True, False),
    ],
)  # fmt: skip
def test_an_echo_asks_what_was_asked(answer: str, stopped: bool, echo: bool) -> None:
    assert is_echo(answer, QUESTION, stopped=stopped) == echo


def test_restating_extracting_and_correcting_are_no_echoes() -> None:
    asked = "지구에는 몇 개의 대륙이 있습니까?"
    assert not is_echo("지구에는 7개의 대륙이 있습니다.", asked, stopped=True)
    asked = "다음 중 과일이 아닌 것은 무엇인가요?\n사과, 바나나, 자동차, 포도나무 열매"
    assert not is_echo("자동차", asked, stopped=True)
    assert not is_echo("포도나무 열매 바나나", asked, stopped=True)
    asked = "틀린 곳을 고쳐 주세요.\n나는 어제 학교에 갑니다. 그리고 친구를 만납니다."
    answer = "나는 어제 학교에 갔습니다. 그리고 친구를 만났습니다."
    assert not is_echo(answer, asked, stopped=True)
    assert not is_echo("안녕하세요!", "안녕하세요?", stopped=True)


def test_coverage_by_hand() -> None:
    assert covered("가나다라마바사아", "하가나다라마바") == pytest.approx(6 / 8)
    assert covered("", "가") == 0


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("서울입니다. [/INST]", ["[/INST]"]),
        ("서울입니다.</s><s>[INST] 다음", ["</s>", "<s>", "[INST]"]),
        ("서울입니다.\n### Response:\n서울", ["### Response:"]),
        ("서울입니다.\n### 응답:", ["### 응답:"]),
        ("서울입니다.<|im_end|>\n<|im_start|>user", ["<|im_end|>", "<|im_start|>"]),
        ("서울입니다.[|endofturn|]", ["[|endofturn|]"]),
        ("서울입니다. ASSISTANT: 네", ["ASSISTANT:"]),
        ("서울입니다.\nHuman: 또 하나", ["Human:"]),
        ("`[INST]`는 지시의 시작을 나타냅니다.", []),
        ("```html\n<s>지운 글</s>\n```", []),
        ("Assistant는 비서라는 뜻입니다.", []),
        ("a < b이고 b > c입니다. [1]", []),
    ],
)
def test_leaked_marks(text: str, marks: list[str]) -> None:
    assert leaks(text) == marks


def test_every_template_of_the_project_is_known() -> None:
    shapes = [line for one in TEMPLATES.values() for line in one.turn.split("{content}")]
    pieces = [line.strip() for shape in shapes for line in shape.split("\n") if line.strip()]
    pieces += [token for form in FORMS.values() for token in form.tokens]
    assert {"[INST]", "### Response(응답):", "<end_of_turn>"} < set(pieces)
    assert all(leaks(f"네.\n{one}") for one in pieces)
    assert all(leaks(f"네. {one.default}") for one in TEMPLATES.values() if one.default)


def test_marks_of_the_models_own_template_and_those_that_were_asked_about() -> None:
    own = template_marks("[[SYS]] Be brief.\n[[U]] 가 [[A]]\nassistant\n", "가")
    assert own == {"[[SYS]] Be brief.", "[[U]]", "[[A]]"}
    assert leaks("네. [[A]] 또", own=own) == ["[[A]]"]
    assert leaks("[/INST]는 질문의 끝입니다.", "[/INST]는 무엇인가요?") == []


def test_repetition_by_hand() -> None:
    assert repetition("가나다라마") == 0
    assert repetition("가나다라마바 가나다라마바") == pytest.approx(1 / 7)
    # Digits tell 4-grams apart, and count nothing.
    assert repetition("1. 가나다라마바 2. 가나다라마바 3. 가나다라마바") == pytest.approx(7 / 13)
    assert repetition("7777777777") == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("text", "stopped", "loop"),
    [
        ("건강에 좋습니다. " * 4, True, True),
        ("\n".join(f"{n}. 물을 많이 마시면 건강에 좋습니다." for n in range(1, 9)), True, True),
        ("네 " * 12, False, True),
        ("물은 건강에 좋습니다. 그리고 잠도 중요합니다. 또한 그 그 그 그", False, True),
        ("재미있네요 하하하하", True, False),
        ("산에는 꽃 피네 꽃이 피네. 갈 봄 여름 없이 꽃이 피네.", True, False),
        ("1. 사과는 몸에 좋습니다.\n2. 배는 목에 좋습니다.\n3. 감은 피부에 좋습니다.", True, False),
        ("다음과 같습니다.\n```\n" + "x = x + 1\n" * 9 + "```", True, False),
    ],
)
def test_loops(text: str, stopped: bool, loop: bool) -> None:
    assert is_loop(text, stopped=stopped) == loop


def test_gibberish() -> None:
    text = (
        "강한 비가 내리면 땅이 물을 모두 받아들이지 못하고, 남은 물은 낮은 곳으로 흘러 "
        "강을 이룹니다. 나무를 많이 심은 산은 뿌리가 흙을 붙잡고 잎이 빗방울의 힘을 줄이기 "
        "때문에 홍수가 적습니다. 그래서 예전부터 마을 사람들은 봄마다 "
        "함께 뒷산에 올라 어린 나무를 심었습니다."
    )
    draw = random.Random(0)
    syllables = [one for one in text if "가" <= one <= "힣"]
    mixed = list(syllables)
    draw.shuffle(mixed)
    rest = iter(mixed)
    shuffled = "".join(next(rest) if "가" <= one <= "힣" else one for one in text)
    anything = " ".join(
        "".join(chr(draw.randrange(0xAC00, 0xD7A4)) for _ in range(3)) for _ in range(8)
    )
    assert not is_gibberish(text)
    assert is_gibberish(shuffled)
    assert is_gibberish(anything)
    assert is_gibberish("ㅁㄴㅇㄹㅎㅂㅈㄷㄱㅅㅛㅕㅑ")
    # Too short to tell; laughter; names that no table holds.
    assert not is_gibberish("뷁뷁")
    assert not is_gibberish("정말 재미있어요 ㅋㅋㅋㅋㅋㅋㅋㅋㅋ")
    assert not is_gibberish("바질, 로즈마리, 올리브잎, 새싹, 홍고추, 파슬리")
