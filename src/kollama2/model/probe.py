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
