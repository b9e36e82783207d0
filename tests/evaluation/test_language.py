import pytest

from kollama2.evaluation.language import asks_for_another, foreign_lines


@pytest.mark.parametrize(
    "text",
    [
        "서울은 대한민국의 수도입니다.",
        "Python 3을 설치하고 나서 다시 실행하세요.",
        "42",
        "x = 2, y = 1",
        "E = mc^2",
        "$\\int_0^1 x^2 dx = 1/3$ 입니다.",
        "Facebook, Twitter, Instagram, LinkedIn",
        "1. 메릴 스트립 (Meryl Streep)\n2. Gone with the Wind",
        "Pandas, NumPy, SciPy 등이 있습니다.",
        "溫故而知新, 可以為師矣\n옛것을 익히고 새것을 안다는 뜻입니다.",
        '링컨은 이렇게 말했습니다.\n"Whatever you are, be a good one."',
        "원문은 다음과 같습니다.\n> To be, or not to be, that is the question.",
        "자세한 것은 https://example.org/this/is/where/it/is 를 보세요.",
        "```python\nfor name in names:\n    print(name)  # this is what we want\n```",
        "```\nsudo apt-get install build-essential cmake git\n```",
        "import random\n\n# choose one of the words and print it\nprint(random.choice(words))",
        "SELECT name FROM users WHERE active = 1;",
        "even = [x for x in numbers if x % 2 == 0]",
        '{"name": "John", "age": 40}',
        "`git commit`으로 저장합니다.",
        "α와 β",
        "\"이제 'My very eager mother just served us'와 같은 말로 외우면 됩니다.\"",
    ],
)
def test_no_line_of_these_is_foreign(text: str) -> None:
    assert foreign_lines(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Seoul is the capital.",
        "The word 서울 is Korean.",
        "서울입니다.\nSeoul is the capital.",
        "I'm sorry, but I can only answer in English.",
        "Mina lives in Seoul.",
        '"The tea"',
        "island",
        "Given that f(x) = 4x^3, find the value of f(2).",
        "```\nI am sorry, but I do not know what you mean.\n```",
        "ソウルは首都です",
        "首尔是韩国的首都。",
        "Сеул столица",
        "Bonjour, je suis un modèle de langue.",
    ],
)
def test_one_line_of_these_is_foreign(text: str) -> None:
    assert len(foreign_lines(text)) == 1


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("다음 문장을 영어로 번역하세요.\n안녕하세요.", True),
        ("공식적인 영어를 사용하여 다시 쓰세요.", True),
        ("스페인어를 사용하는 나라를 꼽아 주세요.", False),
        ("일본어 인사를 세 가지 알려 주세요.", True),
        ("Translate into English: 안녕", True),
        ("영어 교육에 대해 설명해 주세요.", False),
        ("영어로 된 다음 문장을 한국어로 옮기세요.", False),
        ("Reply in Korean. Describe life in English towns.", False),
    ],
)
def test_a_question_can_ask_for_another_language(question: str, other: bool) -> None:
    assert asks_for_another(question) == other


def test_long_words_take_no_long_time() -> None:
    # Each of these took half a minute while an expression looked for its end from every letter.
    for text in ("x" * 50_000, "가" * 50_000, "a@" * 20_000, "(a" * 20_000):
        assert len(foreign_lines(text)) < 2
