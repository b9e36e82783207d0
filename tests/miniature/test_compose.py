"""Templates: what each code of the little language becomes in each language."""

import pytest

from kollama2.miniature.compose import Line, Telling, amount, parts, some
from kollama2.miniature.lexicon import ADJECTIVES, NOUNS, VERBS

ALL_NOUNS = dict.fromkeys(noun for group in NOUNS.values() for noun in group)
BY_NAME = {noun.en: noun for noun in ALL_NOUNS}
MIRA, JIHUN, DODAM = BY_NAME["Mira"], BY_NAME["Jihun"], BY_NAME["Dodam"]


def korean(template: str, register: str = "plain", tense: str = "present", **slots) -> str:
    return Telling("ko", register).say(Line(template, "", slots, tense))


def english(template: str, tense: str = "present", digits: bool = False, **slots) -> str:
    return Telling("en", digits=digits).say(Line("", template, slots, tense))


@pytest.mark.parametrize(
    ("template", "register", "tense", "text"),
    [
        ("{p:은} {l}에 {살다.}.", "plain", "present", "미라(Mira)는 도담(Dodam)에 산다."),
        ("{p:은} {l}에 {살다.}.", "formal", "past", "미라(Mira)는 도담(Dodam)에 살았습니다."),
        ("{p:이} {n:을} {n#k} {사다.}.", "polite", "past", "미라(Mira)가 사과를 두 개 샀어요."),
        ("{p:은} {의사:이다}.", "polite", "present", "미라(Mira)는 의사예요."),
        ("{n:은} {k:원/이다}.", "polite", "present", "사과는 2원이에요."),
        ("{c:adn} {n}", "plain", "present", "빨간 사과"),
        ("{p:은} {먹다.not}.", "plain", "present", "미라(Mira)는 먹지 않는다."),
        ("{p:은} {크다.not}.", "plain", "present", "미라(Mira)는 크지 않다."),
        ("{p:은} {일하다.hon}.", "plain", "past", "미라(Mira)는 일하셨다."),
        ("{p:은} {사고 싶어 하다.}.", "plain", "present", "미라(Mira)는 사고 싶어 한다."),
        ("{s.은} {n:을} {좋아하다.ask}?", "formal", "present", "큰 사과를 좋아합니까?"),
        ("{p:은} {무엇:이ask}?", "polite", "present", "미라(Mira)는 무엇인가요?"),
    ],
)
def test_korean_codes(template: str, register: str, tense: str, text: str) -> None:
    slots = {
        "p": MIRA,
        "l": DODAM,
        "n": BY_NAME["apple"],
        "k": 2,
        "c": BY_NAME["red"],
        "s": VERBS["size"][0],
    }
    assert korean(template, register, tense, **slots) == text


@pytest.mark.parametrize(
    ("template", "tense", "text"),
    [
        ("{p} <live> in {l}.", "present", "Mira lives in Dodam."),
        ("{p} <not eat> {n:s}.", "past", "Mira did not eat apples."),
        ("{p:she} <be> happy.", "future", "She will be happy."),
        ("{n:a}", "present", "an apple"),
        ("{k} {n:k}", "present", "two apples"),
        ("{k:month}", "present", "February"),
        ("{p:his} {s:a} day", "present", "her a big day"),
        ("there <are> {k} {n:k}.", "past", "There were two apples."),
    ],
)
def test_english_codes(template: str, tense: str, text: str) -> None:
    slots = {"p": MIRA, "l": DODAM, "n": BY_NAME["apple"], "k": 2, "s": VERBS["size"][0]}
    assert english(template, tense, **slots) == text


def test_names_are_introduced_once() -> None:
    telling = Telling("ko", "polite")
    line = Line("{p:은} {q:을} {만나다.}.", "", {"p": MIRA, "q": JIHUN}, "past")
    assert telling.say(line) == "미라(Mira)는 지훈(Jihun)을 만났어요."
    assert telling.say(line) == "미라는 지훈을 만났어요."


def test_numbers_in_digits_keep_no_space_before_the_counter() -> None:
    line = Line("{n#k}", "{k} {n:k}", {"n": BY_NAME["cat"], "k": 3})
    assert Telling("ko", digits=True).say(line) == "3마리"
    assert Telling("en", digits=True).say(line) == "3 cats"


@pytest.mark.parametrize(
    ("name", "one", "three"),
    [
        ("milk", "milk", "glasses of milk"),
        ("coffee", "coffee", "cups of coffee"),
        ("noodle soup", "noodle soup", "bowls of noodle soup"),
        ("bread", "bread", "pieces of bread"),
        ("shoes", "a pair of shoes", "pairs of shoes"),
        ("egg", "an egg", "eggs"),
    ],
)
def test_english_amounts(name: str, one: str, three: str) -> None:
    assert some(BY_NAME[name]) == one
    assert amount(BY_NAME[name], 3) == three


def test_templates_come_apart_without_loss() -> None:
    assert parts("a {p:은} b") == (("a ",), ("value", "p", "은"), (" b",))
    assert parts("<not go>") == (("verb", "go", "not"),)


def test_the_lexicon_is_compact_and_without_doubles() -> None:
    qualities = {word.ko for group in VERBS.values() for word in group}
    assert qualities <= ADJECTIVES
    content = {noun.ko for noun in ALL_NOUNS if not noun.named} | qualities
    assert 120 <= len(content) <= 210
    assert len(NOUNS["person"]) == 40
    assert len(NOUNS["town"]) == 20
    for kind, group in NOUNS.items():
        assert len({noun.ko for noun in group}) == len(group), kind
        assert len({noun.en for noun in group}) == len(group), kind
