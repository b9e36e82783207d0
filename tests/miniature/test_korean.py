"""Korean grammar against forms written by hand and against its own rules."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.korean import hangul, josa
from kollama2.miniature import korean, numerals
from kollama2.miniature.lexicon import NOUNS, PEOPLE, TOWNS

# dictionary form: 아/어 + 요, past plain, formal, present plain, 으면, adnominal 은, adnominal 을
# After a consonant, after a vowel.
PARTICLES = [
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("으로", "로"), ("아", "야"),
    ("이나", "나"), ("이랑", "랑"), ("이라는", "라는"), ("이라고", "라고"),
]  # fmt: skip
VERBS = """
가다 가요 갔다 갑니다 간다 가면 간 갈
오다 와요 왔다 옵니다 온다 오면 온 올
먹다 먹어요 먹었다 먹습니다 먹는다 먹으면 먹은 먹을
마시다 마셔요 마셨다 마십니다 마신다 마시면 마신 마실
하다 해요 했다 합니다 한다 하면 한 할
주다 줘요 줬다 줍니다 준다 주면 준 줄
보다 봐요 봤다 봅니다 본다 보면 본 볼
보내다 보내요 보냈다 보냅니다 보낸다 보내면 보낸 보낼
서다 서요 섰다 섭니다 선다 서면 선 설
되다 돼요 됐다 됩니다 된다 되면 된 될
쉬다 쉬어요 쉬었다 쉽니다 쉰다 쉬면 쉰 쉴
켜다 켜요 켰다 켭니다 켠다 켜면 켠 켤
앉다 앉아요 앉았다 앉습니다 앉는다 앉으면 앉은 앉을
읽다 읽어요 읽었다 읽습니다 읽는다 읽으면 읽은 읽을
돕다 도와요 도왔다 돕습니다 돕는다 도우면 도운 도울
줍다 주워요 주웠다 줍습니다 줍는다 주우면 주운 주울
눕다 누워요 누웠다 눕습니다 눕는다 누우면 누운 누울
입다 입어요 입었다 입습니다 입는다 입으면 입은 입을
잡다 잡아요 잡았다 잡습니다 잡는다 잡으면 잡은 잡을
듣다 들어요 들었다 듣습니다 듣는다 들으면 들은 들을
걷다 걸어요 걸었다 걷습니다 걷는다 걸으면 걸은 걸을
묻다 물어요 물었다 묻습니다 묻는다 물으면 물은 물을
받다 받아요 받았다 받습니다 받는다 받으면 받은 받을
닫다 닫아요 닫았다 닫습니다 닫는다 닫으면 닫은 닫을
짓다 지어요 지었다 짓습니다 짓는다 지으면 지은 지을
낫다 나아요 나았다 낫습니다 낫는다 나으면 나은 나을
벗다 벗어요 벗었다 벗습니다 벗는다 벗으면 벗은 벗을
씻다 씻어요 씻었다 씻습니다 씻는다 씻으면 씻은 씻을
살다 살아요 살았다 삽니다 산다 살면 산 살
만들다 만들어요 만들었다 만듭니다 만든다 만들면 만든 만들
팔다 팔아요 팔았다 팝니다 판다 팔면 판 팔
부르다 불러요 불렀다 부릅니다 부른다 부르면 부른 부를
고르다 골라요 골랐다 고릅니다 고른다 고르면 고른 고를
따르다 따라요 따랐다 따릅니다 따른다 따르면 따른 따를
쓰다 써요 썼다 씁니다 쓴다 쓰면 쓴 쓸
끄다 꺼요 껐다 끕니다 끈다 끄면 끈 끌
좋아하다 좋아해요 좋아했다 좋아합니다 좋아한다 좋아하면 좋아한 좋아할
배우다 배워요 배웠다 배웁니다 배운다 배우면 배운 배울
키우다 키워요 키웠다 키웁니다 키운다 키우면 키운 키울
기다리다 기다려요 기다렸다 기다립니다 기다린다 기다리면 기다린 기다릴
드시다 드세요 드셨다 드십니다 드신다 드시면 드신 드실
계시다 계세요 계셨다 계십니다 계신다 계시면 계신 계실
주무시다 주무세요 주무셨다 주무십니다 주무신다 주무시면 주무신 주무실
"""
ADJECTIVES = """
크다 커요 컸다 큽니다 크다 크면 큰 클
작다 작아요 작았다 작습니다 작다 작으면 작은 작을
예쁘다 예뻐요 예뻤다 예쁩니다 예쁘다 예쁘면 예쁜 예쁠
바쁘다 바빠요 바빴다 바쁩니다 바쁘다 바쁘면 바쁜 바쁠
춥다 추워요 추웠다 춥습니다 춥다 추우면 추운 추울
가볍다 가벼워요 가벼웠다 가볍습니다 가볍다 가벼우면 가벼운 가벼울
가깝다 가까워요 가까웠다 가깝습니다 가깝다 가까우면 가까운 가까울
좁다 좁아요 좁았다 좁습니다 좁다 좁으면 좁은 좁을
빨갛다 빨개요 빨갰다 빨갛습니다 빨갛다 빨가면 빨간 빨갈
하얗다 하얘요 하얬다 하얗습니다 하얗다 하야면 하얀 하얄
까맣다 까매요 까맸다 까맣습니다 까맣다 까마면 까만 까말
그렇다 그래요 그랬다 그렇습니다 그렇다 그러면 그런 그럴
좋다 좋아요 좋았다 좋습니다 좋다 좋으면 좋은 좋을
길다 길어요 길었다 깁니다 길다 길면 긴 길
빠르다 빨라요 빨랐다 빠릅니다 빠르다 빠르면 빠른 빠를
푸르다 푸르러요 푸르렀다 푸릅니다 푸르다 푸르면 푸른 푸를
목마르다 목말라요 목말랐다 목마릅니다 목마르다 목마르면 목마른 목마를
조용하다 조용해요 조용했다 조용합니다 조용하다 조용하면 조용한 조용할
"""
ROWS = [(*line.split(), False) for line in VERBS.strip().splitlines()] + [
    (*line.split(), True) for line in ADJECTIVES.strip().splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_conjugation_agrees_with_forms_written_by_hand(row: tuple[str, ...]) -> None:
    verb, polite, past, formal, plain, if_form, done, to_come, adjective = row
    final = korean.final_form
    assert final(verb, "polite") == polite
    assert final(verb, "plain", "past") == past
    assert final(verb, "formal") == formal
    assert final(verb, "plain", adjective=bool(adjective)) == plain
    assert korean.connect(verb, "으면") == if_form
    assert korean.connect(verb, "은") == done
    assert korean.connect(verb, "을") == to_come


def test_the_golden_table_is_large() -> None:
    assert sum(len(row) - 2 for row in ROWS) >= 400


@pytest.mark.parametrize(
    ("verb", "ending", "form"),
    [
        ("살다", "고", "살고"),
        ("살다", "는", "사는"),
        ("살다", "나요", "사나요"),
        ("살다", "으세요", "사세요"),
        ("살다", "으니까", "사니까"),
        ("만들다", "으려고", "만들려고"),
        ("만들다", "읍시다", "만듭시다"),
        ("듣다", "으러", "들으러"),
        ("듣다", "는데", "듣는데"),
        ("돕다", "아서", "도와서"),
        ("돕다", "으세요", "도우세요"),
        ("가다", "자", "가자"),
        ("가다", "기", "가기"),
        ("가다", "았을", "갔을"),
        ("가다", "았지만", "갔지만"),
        ("먹다", "았을", "먹었을"),
        ("먹다", "지만", "먹지만"),
        ("쓰다", "아서", "써서"),
        ("고르다", "아야", "골라야"),
        ("파랗다", "아서", "파래서"),
    ],
)
def test_connectives(verb: str, ending: str, form: str) -> None:
    assert korean.connect(verb, ending) == form


@pytest.mark.parametrize(
    ("verb", "ending", "form"),
    [
        ("크다", "는데", "큰데"),
        ("작다", "는", "작은"),
        ("길다", "는", "긴"),
        ("춥다", "나요", "추운가요"),
        ("맛있다", "는", "맛있는"),
        ("재미있다", "는데", "재미있는데"),
        ("맛있다", "은", "맛있는"),
    ],
)
def test_adjectives_join_in_their_own_way(verb: str, ending: str, form: str) -> None:
    assert korean.connect(verb, ending, adjective=True) == form


def test_unknown_ending_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown ending '롱'"):
        korean.connect("가다", "롱")


@pytest.mark.parametrize(
    ("verb", "polite", "formal", "plain"),
    [
        ("가다", "가요", "갑니까", "가니"),
        ("살다", "살아요", "삽니까", "사니"),
        ("먹다", "먹어요", "먹습니까", "먹니"),
    ],
)
def test_questions(verb: str, polite: str, formal: str, plain: str) -> None:
    forms = [korean.final_form(verb, r, question=True) for r in ("polite", "formal", "plain")]
    assert forms == [polite, formal, plain]
    assert korean.final_form("가다", "formal", "past", question=True) == "갔습니까"
    assert korean.final_form("가다", "polite", "future", question=True) == "갈 거예요"


@pytest.mark.parametrize(
    ("verb", "form"),
    [("가다", "가시다"), ("읽다", "읽으시다"), ("살다", "사시다"), ("돕다", "도우시다"),
     ("듣다", "들으시다"), ("일하다", "일하시다")],
)  # fmt: skip
def test_honorific(verb: str, form: str) -> None:
    assert korean.honorific(verb) == form
    assert korean.final_form(form, "polite") == form[:-2] + "세요"


def test_negation_and_future() -> None:
    assert korean.negative("가다") == ("가지 ", "않다")
    future = [korean.final_form("먹다", r, "future") for r in korean.REGISTERS]
    assert future == ["먹을 것이다", "먹을 거예요", "먹을 것입니다"]
    assert korean.final_form("살다", "polite", "future") == "살 거예요"


@pytest.mark.parametrize(
    ("noun", "plain", "polite", "past", "asked"),
    [
        ("의사", "의사다", "의사예요", "의사였어요", "의사니"),
        ("선생님", "선생님이다", "선생님이에요", "선생님이었어요", "선생님이니"),
        ("3월", "3월이다", "3월이에요", "3월이었어요", "3월이니"),
        ("미라(Mira)", "미라(Mira)다", "미라(Mira)예요", "미라(Mira)였어요", "미라(Mira)니"),
    ],
)
def test_copula(noun: str, plain: str, polite: str, past: str, asked: str) -> None:
    assert korean.copula(noun, "plain") == plain
    assert korean.copula(noun, "polite") == polite
    assert korean.copula(noun, "formal") == noun + "입니다"
    assert korean.copula(noun, "polite", "past") == past
    assert korean.copula(noun, "plain", question=True) == asked


@pytest.mark.parametrize(
    ("word", "kind", "expected"),
    [
        ("책", "은", "책은"),
        ("사과", "은", "사과는"),
        ("길", "으로", "길로"),
        ("집", "으로", "집으로"),
        ("서울", "과", "서울과"),
        ("나루", "으로", "나루로"),
        ("1", "은", "1은"),
        ("2", "은", "2는"),
        ("3", "을", "3을"),
        ("7", "으로", "7로"),
        ("6", "으로", "6으로"),
        ("0", "이", "0이"),
        ("10", "은", "10은"),
        ("25", "을", "25를"),
        ("100", "으로", "100으로"),
        ("3,000", "이", "3,000이"),
        ("Mira", "은", "Mira는"),
        ("Jihun", "은", "Jihun은"),
        ("Haneul", "으로", "Haneul로"),
        ("Gayeong", "이", "Gayeong이"),
        ("LLM", "은", "LLM은"),
        ("USB", "을", "USB를"),
        ("미라(Mira)", "을", "미라(Mira)를"),
        ("'사과'", "은", "'사과'는"),
        ("지훈", "아", "지훈아"),
        ("미라", "아", "미라야"),
        ("도담", "이라는", "도담이라는"),
        ("도담", "에서", "도담에서"),
    ],
)
def test_particles(word: str, kind: str, expected: str) -> None:
    assert josa.attach(word, kind) == expected


def test_particles_agree_with_the_last_sound_of_every_noun() -> None:
    for noun in {noun for group in NOUNS.values() for noun in group}:
        closed = unicodedata.normalize("NFD", noun.ko)[-1] in map(chr, range(0x11A8, 0x11C3))
        liquid = unicodedata.normalize("NFD", noun.ko)[-1] == "\u11af"
        for kind, after_vowel in PARTICLES:
            open_ended = not closed or (kind == "으로" and liquid)
            expected = noun.ko + (after_vowel if open_ended else kind)
            assert josa.attach(noun.ko, kind) == expected


def test_latin_names_take_the_particles_of_their_korean_names() -> None:
    for noun in (*PEOPLE, *TOWNS):
        for kind, _ in PARTICLES:
            ending = josa.attach(noun.ko, kind).removeprefix(noun.ko)
            assert josa.attach(noun.en, kind) == noun.en + ending, (noun.ko, noun.en)


@given(st.integers(min_value=0, max_value=99_999_999))
def test_digits_take_the_particles_of_their_reading(number: int) -> None:
    reading = numerals.sino(number)
    for kind, _ in PARTICLES:
        ending = josa.attach(reading, kind).removeprefix(reading)
        assert josa.attach(str(number), kind) == f"{number}{ending}"


@given(st.integers(min_value=hangul.FIRST, max_value=hangul.LAST))
def test_syllables_come_apart_and_together(code: int) -> None:
    assert hangul.join(*hangul.split(chr(code))) == chr(code)


@given(st.sampled_from([row[0] for row in ROWS]), st.sampled_from(korean.REGISTERS))
def test_every_form_is_composed_hangul(verb: str, register: str) -> None:
    for tense in korean.TENSES:
        text = korean.final_form(verb, register, tense)
        assert unicodedata.is_normalized("NFC", text)
        assert all(hangul.is_syllable(char) or char == " " for char in text)
