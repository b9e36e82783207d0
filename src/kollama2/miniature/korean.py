"""Korean grammar: conjugation by stem and class, the copula by the final sound of its noun."""

from kollama2.korean import josa
from kollama2.korean.hangul import join, split, with_final

REGISTERS = ("plain", "polite", "formal")  # 해라체, 해요체, 합니다체
TENSES = ("present", "past", "future")
# What ends a statement and a question.
PAST = {"plain": ("다", "니"), "polite": ("어요", "어요"), "formal": ("습니다", "습니까")}
FUTURE = {
    "plain": (" 것이다", " 것인가"),
    "polite": (" 거예요", " 거예요"),
    "formal": (" 것입니다", " 것입니까"),
}

# Irregular dictionary forms; every other word follows from its stem.
P_IRREGULAR = frozenset(
    "돕다 눕다 줍다 굽다 춥다 덥다 맵다 쉽다 어렵다 가볍다 무겁다 귀엽다 고맙다 반갑다 "
    "아름답다 새롭다 가깝다 차갑다 뜨겁다 즐겁다 시끄럽다 부드럽다 무섭다 두껍다 곱다".split()
)
T_IRREGULAR = frozenset("듣다 걷다 묻다 싣다 깨닫다".split())
S_IRREGULAR = frozenset("짓다 낫다 붓다 잇다 긋다".split())
H_IRREGULAR = frozenset(
    "빨갛다 파랗다 노랗다 하얗다 까맣다 그렇다 이렇다 저렇다 어떻다 커다랗다".split()
)
EU_NOT_REU = frozenset("따르다 치르다 들르다".split())  # 따르다 + 아 is 따라, not 딸라
REO_IRREGULAR = frozenset({"푸르다"})
BRIGHT = "ㅏㅑㅗ"
CONTRACTED = {"ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅣ": "ㅕ", "ㅚ": "ㅙ"}
SILENT = ("ㅏ", "ㅓ", "ㅐ", "ㅔ", "ㅕ", "ㅑ")  # these swallow the vowel that follows


def a_form(verb: str) -> str:
    """The stem with 아 or 어: 가다 가, 오다 와, 마시다 마셔, 돕다 도와, 부르다 불러."""
    stem = verb[:-1]
    initial, vowel, final = split(stem[-1])
    if stem.endswith("하"):
        return stem[:-1] + "해"
    if verb in REO_IRREGULAR:
        return stem + "러"
    if final == " ":
        return _a_form_open(verb, stem, initial, vowel)
    if verb in P_IRREGULAR:
        # Only 돕다 and 곱다 keep the bright vowel: 도와, but 가까워.
        return with_final(stem, " ") + ("와" if verb in ("돕다", "곱다") else "워")
    if verb in H_IRREGULAR:
        bright = {"ㅏ": "ㅐ", "ㅓ": "ㅐ", "ㅑ": "ㅒ"}[vowel]
        return stem[:-1] + join(initial, bright)
    if verb in T_IRREGULAR:
        stem = with_final(stem, "ㄹ")
    elif verb in S_IRREGULAR:
        stem = with_final(stem, " ")
    return stem + ("아" if vowel in BRIGHT else "어")


def _a_form_open(verb: str, stem: str, initial: str, vowel: str) -> str:
    if vowel == "ㅡ":
        before = stem[:-1]
        bright = bool(before) and split(before[-1])[1] in BRIGHT
        ending = "ㅏ" if bright else "ㅓ"
        if initial == "ㄹ" and before and verb not in EU_NOT_REU:
            return with_final(before, "ㄹ") + join("ㄹ", ending)
        return before + join(initial, ending)
    if vowel in SILENT:
        return stem
    if vowel in CONTRACTED:
        return stem[:-1] + join(initial, CONTRACTED[vowel])
    return stem + "어"  # 쉬어, 띄어


def eu_stem(verb: str) -> str:
    """The stem before endings in 으: 먹다 먹으, 돕다 도우, 듣다 들으, 짓다 지으, 살다 살."""
    stem = verb[:-1]
    final = split(stem[-1])[2]
    if verb in P_IRREGULAR:
        return with_final(stem, " ") + "우"
    if verb in T_IRREGULAR:
        return with_final(stem, "ㄹ") + "으"
    if verb in S_IRREGULAR:
        return with_final(stem, " ") + "으"
    if verb in H_IRREGULAR:
        return with_final(stem, " ")
    if final in (" ", "ㄹ"):
        return stem
    return stem + "으"


def _closed_by(verb: str, final: str) -> str:
    """The 으-stem closed by a consonant that pushes a ㄹ out: 살다 + ㄴ is 산, 크다 + ㄹ is 클."""
    return with_final(eu_stem(verb), final)


def _dropping(verb: str) -> str:
    """The bare stem without a final ㄹ, as before 는, 니, 세: 살다 사."""
    stem = verb[:-1]
    return with_final(stem, " ") if split(stem[-1])[2] == "ㄹ" else stem


def honorific(verb: str) -> str:
    """The dictionary form with -(으)시-: 가다 가시다, 읽다 읽으시다, 살다 사시다, 돕다 도우시다."""
    stem = eu_stem(verb)
    if split(stem[-1])[2] == "ㄹ":
        stem = with_final(stem, " ")
    return stem + "시다"


def past_stem(verb: str) -> str:
    """The stem with 았 or 었: 갔, 먹었, 했, 왔, 도왔."""
    return with_final(a_form(verb), "ㅆ")


def final_form(
    verb: str,
    register: str,
    tense: str = "present",
    *,
    adjective: bool = False,
    question: bool = False,
) -> str:
    """The end of a sentence: (먹다, plain, past) 먹었다, (살다, formal) 삽니다.

    Args:
        verb: Dictionary form.
        register: One of REGISTERS.
        tense: One of TENSES; the future is -(으)ㄹ 것이다.
        adjective: The word is an adjective (크다, not 큰다).
        question: Ask: 갑니까, 가요, 가니.
    """
    if tense == "future":
        return _closed_by(verb, "ㄹ") + FUTURE[register][question]
    if tense == "past":
        return past_stem(verb) + PAST[register][question]
    if register == "polite":
        # 가시다 is 가세요; but a verb that merely ends in 시 (마시다) is 마셔요.
        if is_honorific(verb):
            return verb[:-2] + "세요"
        return a_form(verb) + "요"
    return _present(verb, register, adjective=adjective, question=question)


def is_honorific(verb: str) -> bool:
    """True for 가시다, 계시다, 드시다; False for 마시다, 모시다, which only end so."""
    return verb.endswith("시다") and verb not in ("마시다", "모시다", "시다")


def _present(verb: str, register: str, *, adjective: bool, question: bool) -> str:
    stem, final = verb[:-1], split(verb[-2])[2]
    if register == "formal":
        end = "니까" if question else "니다"
        return (with_final(stem, "ㅂ") if final in (" ", "ㄹ") else stem + "습") + end
    if question:
        return _dropping(verb) + "니"
    if adjective or verb in ("있다", "없다"):
        return verb
    return with_final(stem, "ㄴ") + "다" if final in (" ", "ㄹ") else stem + "는다"


def connect(verb: str, ending: str, *, adjective: bool = False) -> str:
    """A connective or adnominal form.

    Args:
        verb: Dictionary form.
        ending: 고 지만 지 기 게 자 거나 (after the stem), 아서 아 아야 아도 (after 아/어),
            으면 으러 으려고 으니까 으며 으세요 읍시다 (after 으), 는데, 나요, 는 (adnominal),
            은 (adnominal: past of verbs, present of adjectives), 을 (future), 던, 았지만 (past).
        adjective: The word is an adjective: 는 gives 큰, 는데 gives 큰데.

    Raises:
        ValueError: Unknown ending.
    """
    if ending in ("고", "지만", "지", "기", "게", "자", "거나", "던"):
        return verb[:-1] + ending
    if ending.startswith("아"):
        return a_form(verb) + ending[1:]
    if ending.startswith(("았", "었")):
        return past_stem(verb) + ending[1:]
    if ending in ("으면", "으러", "으려고", "으며", "으니까", "으세요", "으니"):
        stem = eu_stem(verb)
        if ending[1] in "니세" and split(stem[-1])[2] == "ㄹ":
            stem = with_final(stem, " ")
        return stem + ending[1:]
    if ending == "읍시다":
        return _closed_by(verb, "ㅂ") + "시다"
    # 맛있다 and 재미있다 are adjectives that join like 있다: 맛있는, 맛있나요.
    quality = adjective and not verb.endswith(("있다", "없다"))
    if ending == "나요":
        return _closed_by(verb, "ㄴ") + "가요" if quality else _dropping(verb) + "나요"
    if ending in ("는", "는데"):
        return _closed_by(verb, "ㄴ") + ending[1:] if quality else _dropping(verb) + ending
    if ending == "은":
        return _dropping(verb) + "는" if adjective and not quality else _closed_by(verb, "ㄴ")
    if ending == "을":
        return _closed_by(verb, "ㄹ")
    raise ValueError(f"unknown ending {ending!r}")


def negative(verb: str) -> tuple[str, str]:
    """The long negation as a prefix and the verb to conjugate: 가다 gives ("가지 ", "않다")."""
    return verb[:-1] + "지 ", "않다"


def copula(noun: str, register: str, tense: str = "present", *, question: bool = False) -> str:
    """The noun with 이다: 의사다, 선생님이다, 의사예요, 선생님이에요, 의사입니다, 의사였다."""
    if tense == "past":
        return josa.attach(noun, "이었") + PAST[register][question]
    if tense == "future":
        return f"{noun}일{FUTURE[register][False]}"
    if register == "formal":
        return noun + ("입니까" if question else "입니다")
    if register == "polite":
        return josa.attach(noun, "이에요")
    return josa.attach(noun, "이니" if question else "이다")
