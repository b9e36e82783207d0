"""Probe: lines on which a tokenizer must not differ from an older one, or from another reading."""

import ast
import inspect
import random
from importlib import import_module

# Pages of code and English that every Python installation has.
_MODULES = (
    "argparse", "ast", "asyncio.base_events", "calendar", "configparser", "csv", "datetime",
    "difflib", "doctest", "email.message", "fractions", "heapq", "html.parser", "http.client",
    "inspect", "json.decoder", "locale", "logging", "mailbox", "optparse", "pathlib", "pdb",
    "random", "smtplib", "statistics", "string", "tarfile", "textwrap", "typing", "zipfile",
)  # fmt: skip
# First and last character of scripts other than Hangul.
_SCRIPTS = (
    ("à", "ÿ"), ("Ā", "ſ"), ("α", "ω"), ("а", "я"), ("א", "ת"), ("ا", "ي"), ("अ", "ह"), ("ก", "ฮ"),
    ("ក", "ហ"), ("ა", "ჰ"), ("あ", "ん"), ("ア", "ン"), ("一", "龥"), ("😀", "🙏"), ("←", "⇿"),
)  # fmt: skip
HARD = (
    "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165 NFD",
    "ﾡﾢﾣ half-width, ㄱㄴㄷ ㅏㅑㅓ compatibility jamo",
    "가족 👨\u200d👩\u200d👧\u200d👦 이모지 🇰🇷 🤦🏽\u200d♀️ 섞인 문장",
    "한국어English日本語한자漢字 섞어 쓰기 GPT-4를 써서 3.14%를",
    "  들여 쓴\t탭과\n줄바꿈 \n\n 두 줄   세 칸",
    "뷁 똠방각하 쀍 펲시 갃갃",
    "조선말 옛글 ᄒᆞᆫ글 ㆍ아래아",
    "</s><s>[INST] 지시 [/INST] <unk> <0xEA>",
    "ㅋㅋㅋㅋㅋㅋ ㅠㅠ ㅇㅇ 아아아아아아아아아아아아아아아아아아아아아",
    "가\u200b나\ufeff다\u00a0라\u3000마",
)
"""Korean that breaks tokenizers: decomposed, rare, mixed, repeated, with names of tokens in it."""


# Words with particles and endings that fit any of them.
_NOUNS = (
    "사람 나라 학교 병원 도서관 바다 하늘 겨울 여름 아침 저녁 음악 영화 역사 과학 경제 정부 "
    "국회 은행 공장 농부 의사 선생님 어린이 친구 가족 자동차 비행기 컴퓨터 휴대전화 인공지능 "
    "데이터 서울특별시 부산 제주도 대한민국 한반도 김치 된장찌개 값 닭 흙 넋 꽃잎 햇빛 빛깔 "
    "깨달음 읽기 쓰기"
).split()
_PARTICLES = "에서 에도 까지 부터 보다 처럼 만 도 하고 마저 에게 의".split()
_ENDINGS = (
    "갔습니다. 왔어요! 있을까요? 좋다. 몰랐다… 읽는다 썼더니, 먹었는데도 뜨거웠지만 되었으며 "
    "않겠죠? 했답니다. 끝났다고요. 괜찮으시겠습니까? ㅋㅋ 없잖아"
).split()
_BETWEEN = (" ", " ", " ", "  ", ", ", " · ", "\n", " - ", "(", ") ", "‘", "’ ", "\t", " 「", "」 ")


def mixed_lines(count: int) -> list[str]:
    """Korean, English, code and other scripts, half of them Korean, and the hard lines."""
    korean = korean_lines(count // 2)
    return [*HARD, *korean, *unchanged_lines(count - len(HARD) - len(korean))]


def korean_lines(count: int) -> list[str]:
    """Korean of common words and rare syllables, with numbers, names and marks among them."""
    draw = random.Random(count)
    return [_korean(draw) for _ in range(count)]


def _korean(draw: random.Random) -> str:
    line = ""
    for _ in range(draw.randint(2, 9)):
        kind = draw.random()
        if kind < 0.1:
            word = "".join(chr(draw.randint(0xAC00, 0xD7A3)) for _ in range(draw.randint(1, 4)))
        elif kind < 0.2:
            word = f"{draw.randint(1, 20_000):,}" if kind < 0.15 else f"{draw.random() * 100:.2f}%"
        elif kind < 0.3:
            word = draw.choice(("AI", "GPT-4o", "iPhone", "don't", "Kim's", "https://a.kr/b?c=1"))
        else:
            word = draw.choice(_NOUNS)
        line += word + draw.choice(_PARTICLES) + draw.choice(_BETWEEN)
    return line + draw.choice(_ENDINGS)


def unchanged_lines(count: int = 10_000) -> list[str]:
    """Lines of English, code and other scripts without any Hangul, most of them real.

    Args:
        count: how many; a third of them is made of random words of other scripts.
    """
    draw = random.Random(count)
    scripts = [_other(draw) for _ in range(count // 3)]
    real = list[str]()
    for name in _MODULES:
        source = inspect.getsource(import_module(name))
        real += source.splitlines()
        # Docstrings are prose: once more, each as one line.
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                real += [" ".join((ast.get_docstring(node) or "").split())]
        real = [line for line in real if line.strip()]
        if len(real) >= count:
            break
    return [*real[: count - len(scripts)], *scripts]


def _other(draw: random.Random) -> str:
    first, last = draw.choice(_SCRIPTS)
    words = []
    for _ in range(draw.randint(1, 8)):
        letters = [chr(draw.randint(ord(first), ord(last))) for _ in range(draw.randint(1, 6))]
        words.append("".join(letters))
    return draw.choice((" ", "  ", "-", "")).join(words)
