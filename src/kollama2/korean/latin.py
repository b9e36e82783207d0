"""The last sound of a word in Latin letters as Koreans read it: letter by letter, or as English.

The rules (외래어 표기법) have exceptions, and usage does not follow them (캣, but 히트), so a list
of frequent words stands before them. `docs/journal.md` says how often real writers agree.
"""

import re
import unicodedata

# Words whose sound the rules do not find, also those that are read as words in capitals (NAVER).
_WORDS = {
    word: sound
    for sound, words in {
        "": "acer star uber nasa nato fifa hub github bit diet quiet poet hit knit nut fat mit kit "
        "dot watt tech ip os naver resume anime chile iraq monet jet",
        "ㄱ": "bag handbag big apec opec toeic mpeg jpeg kosdaq nasdaq postech latex tex technique",
        "ㄴ": "line one zone phone",
        "ㄹ": "url",
        "ㅁ": "game time home",
        "ㅂ": "app web pop group type prototype",
        "ㅅ": "good foot put input output template private chocolate tweet swat",
    }.items()
    for word in words.split()
}
_NAMES = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "r": "ㄹ"}  # 엘 엠 엔 알; all others end in a vowel
_LONG_CAPITALS = 5
# The first that fits decides; a single vowel is a short one.
_RULES = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"ng(?:ue)?$", "ㅇ"),
        (r"mb$|mn$|(?:m|[aeiouy]me|mme)$", "ㅁ"),  # 밤 칼럼 팀 타임
        (r"(?:n|[aeiouy]ne|nne)$", "ㄴ"),
        (r"le?$", "ㄹ"),  # 홀 애플 파일
        (r"ck$|ook$|(?<![aeiou])[aeiou][kc]$", "ㄱ"),  # 백 북 틱톡 매직; 밀크 위크
        (r"pp$|eep$|(?<![aeiou])[aeiou]p$", "ㅂ"),  # 앱 딥 컵; 수프 램프 테이프
        (r"tt$|out$|(?<![aeiou])[aeiou]t$", "ㅅ"),  # 스콧 아웃 캣; 보트 테스트 노트
        (r"(?<![aeiou])[aeiou]b$", "ㅂ"),  # 웹; 튜브
    )
]


def final_of_latin(text: str) -> str:
    """The last consonant, "" after a vowel, of a text that ends in a Latin letter.

    IBM and html are spelled out (아이비엠), and so are the capitals at the end of OpenAI; NAVER and
    other long capitals with vowels are words.
    """
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    word = re.split(r"[^A-Za-z]", re.sub(r"(?<=[A-Za-z])['’](?=[A-Za-z])", "", bare))[-1]
    low = word.lower()
    if low in _WORDS:
        return _WORDS[low]
    spelled = not re.search("[aeiouy]", low) or (
        word[-1:].isupper() and not (word.isupper() and _is_word(low))
    )
    if spelled or len(word) < 2:
        return _NAMES.get(low[-1:], "")
    return next((sound for rule, sound in _RULES if rule.search(low)), "")


def _is_word(capitals: str) -> bool:
    return len(capitals) >= _LONG_CAPITALS and len(re.findall("[aeiou]+", capitals)) > 1
