"""Korean particles (조사): which form follows a word, also an English one, by its last sound.

미라 + 이/가 is 미라가, apple + 을/를 is apple을, because Korean readers say 애플.
"""

import re

# Particles with two forms: after a consonant, after a vowel.
_PAIRS = [
    ("이라고", "라고"), ("이라는", "라는"), ("이라도", "라도"), ("이라면", "라면"),
    ("이랑", "랑"), ("이나", "나"), ("이며", "며"), ("이야말로", "야말로"), ("이든", "든"),
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"),
]  # fmt: skip
_RO = [("으로부터", "로부터"), ("으로서", "로서"), ("으로써", "로써"), ("으로는", "로는"),
       ("으로도", "로도"), ("으로", "로")]  # fmt: skip
_SAME = (
    "에게서는 에게서 에게는 에게도 에게 한테서 한테는 한테 에서부터 에서는 에서도 에서만 에서의 "
    "에서 에는 에도 에만 에까지 에 의 도 만을 만이 만은 만 까지는 까지도 까지 부터는 부터 처럼 "
    "보다는 보다 마다 조차 마저 밖에 께서는 께서 께 대로 만큼 하고"
).split()
_FORMS = {form: pair for pair in (*_PAIRS, *_RO) for form in pair}
PARTICLES = frozenset((*_FORMS, *_SAME))
_LONGEST = max(map(len, PARTICLES))

_VOWELS = "aeiou"
_DIGIT_FINALS = {"0": "ㅇ", "1": "ㄹ", "3": "ㅁ", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ"}


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

    Args:
        word: Korean, English or digits.
        particle: one of `PARTICLES` in either form, or "".

    Raises:
        ValueError: the word ends in a sign without a reading.
    """
    pair = _FORMS.get(particle)
    if pair is None:
        return word + particle
    final = final_sound(word)
    closed = bool(final) and not (pair in _RO and final == "ㄹ")
    return word + pair[0 if closed else 1]


def final_sound(word: str) -> str:
    """The consonant that a Korean reader ends a word with: "ㄹ", "ㄴ" and so on, "" after a vowel.

    Raises:
        ValueError: the word ends in a sign without a reading.
    """
    last = word[-1:]
    if "가" <= last <= "힣":
        return " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"[
            (ord(last) - 0xAC00) % 28
        ].strip()
    if last.isascii() and last.isdigit():
        return _DIGIT_FINALS.get(last, "")
    if last.isascii() and last.isalpha():
        return _english(re.split(r"[^A-Za-z]", word)[-1])
    raise ValueError(f"no reading for the end of {word!r}: give Hangul, digits or Latin letters")


def _english(word: str) -> str:
    """The last consonant of an English word as it is written in Hangul (외래어 표기법)."""
    if len(word) == 1 or word.isupper():  # read letter by letter: 엘 엠 엔 알
        return {"L": "ㄹ", "M": "ㅁ", "N": "ㄴ", "R": "ㄹ"}.get(word[-1].upper(), "")
    word = word.lower()
    if word.endswith("ng"):
        return "ㅇ"
    # apple, mile, time, phone: 애플, 마일, 타임, 폰; but cake, house: 케이크, 하우스.
    sound = re.search(r"(?<=[^aeiouyw])(l)e$|[aeiouy](l|m|n)e$", word)
    if sound:
        return {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ"}[sound[1] or sound[2]]
    last, before, earlier = word[-1], word[-2], word[-3:-2]
    if last in "lmn":
        return {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ"}[last]
    if last in "kptb":
        # back, cat, cup, web: 백, 캣, 컵, 웹; but milk, test, boat, soup: 밀크, 테스트, 보트, 수프.
        short = before in _VOWELS and earlier not in _VOWELS
        if word.endswith("ck") or short or word.endswith("ook"):
            return {"k": "ㄱ", "p": "ㅂ", "t": "ㅅ", "b": "ㅂ"}[last]
    return ""
