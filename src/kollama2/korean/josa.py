"""Korean particles (조사): which form follows a word of any script, by its last sound.

미라 + 이/가 is 미라가, apple + 을/를 is apple을, because Korean readers say 애플. Where nobody can
know how a word is read, both forms are written, as Koreans do: ☎은(는), ㅋㅋ(으)로.
"""

from kollama2.korean.sound import final_sound

# Particles with two forms: after a consonant, after a vowel.
_PAIRS = [
    ("이라고", "라고"), ("이라는", "라는"), ("이라도", "라도"), ("이라면", "라면"),
    ("이랑", "랑"), ("이나", "나"), ("이며", "며"), ("이야말로", "야말로"), ("이든", "든"),
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"),
]  # fmt: skip
_RO = [("으로부터", "로부터"), ("으로서", "로서"), ("으로써", "로써"), ("으로는", "로는"),
       ("으로도", "로도"), ("으로", "로")]  # fmt: skip
# Forms of 이다 and of address. As the end of an eojeol they are mostly no particle (바다, 나라), so
# they are attached and never split off.
_MORE = [
    ("이라", "라"), ("이라서", "라서"), ("이란", "란"), ("이나마", "나마"), ("이든지", "든지"),
    ("이든가", "든가"), ("이고", "고"), ("이면", "면"), ("이니", "니"), ("이니까", "니까"),
    ("이지만", "지만"), ("이다", "다"), ("이죠", "죠"), ("이요", "요"), ("이야", "야"),
    ("이에요", "예요"), ("이었다", "였다"), ("이었고", "였고"), ("이어서", "여서"),
    ("이었지만", "였지만"), ("이었", "였"), ("이여", "여"), ("이시여", "시여"), ("이냐", "냐"),
    ("은커녕", "는커녕"), ("으로만", "로만"), ("으로의", "로의"), ("으로까지", "로까지"),
    ("으로라도", "로라도"), ("아", "야"),
]  # fmt: skip
_SAME = (
    "에게서는 에게서 에게는 에게도 에게 한테서 한테는 한테 에서부터 에서는 에서도 에서만 에서의 "
    "에서 에는 에도 에만 에까지 에 의 도 만을 만이 만은 만 까지는 까지도 까지 부터는 부터 처럼 "
    "보다는 보다 마다 조차 마저 밖에 께서는 께서 께 대로 만큼 하고"
).split()
_SPLIT = {form: pair for pair in (*_PAIRS, *_RO) for form in pair}
# 야 alone is the one of address.
_FORMS = {form: pair for pair in (*_MORE, *_PAIRS, *_RO) for form in pair}
PARTICLES = frozenset((*_SPLIT, *_SAME))
_LONGEST = max(map(len, PARTICLES))


def split(eojeol: str) -> list[tuple[str, str]]:
    """Every way to read an eojeol as a word and its particle, the longest particle first.

    The last way is always (the whole eojeol, ""): that it has none.
    """
    ways = [
        (eojeol[:-size], eojeol[-size:])
        for size in range(min(_LONGEST, len(eojeol) - 1), 0, -1)
        if eojeol[-size:] in PARTICLES
    ]
    return [*ways, (eojeol, "")]


def attach(word: str, particle: str) -> str:
    """The word with the form of the particle that its last sound asks for.

    A word whose last sound is unknown gets both forms: 은(는), 이(가), (으)로, (이)나.

    Args:
        word: Korean, English, digits with units, hanja; see `sound.final_sound`.
        particle: in either form; one that has only one is added as it is.
    """
    pair = _FORMS.get(particle)
    if pair is None:
        return word + particle
    after_consonant, after_vowel = pair
    final = final_sound(word)
    if final is None:
        more = after_consonant.removesuffix(after_vowel)
        both = f"{after_consonant}({after_vowel})"
        return word + (f"({more}){after_vowel}" if more != after_consonant else both)
    closed = bool(final) and not (final == "ㄹ" and after_consonant.startswith("으로"))
    return word + (after_consonant if closed else after_vowel)
