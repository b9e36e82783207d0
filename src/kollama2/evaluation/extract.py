"""The part of an answer that is compared with what is right: a choice's letter, or a number.

The rules are those of docs/evaluation.md, "Chat suites"; whoever changes them raises
`suite.SCORER_VERSION`, because the same answers would give other scores.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

# What announces an answer. A wrong one (오답) is announced too, and is no answer; nor is 대답.
_MARK = r"(?:정답|최종\s*답(?:변|안)?|(?<![가-힣])답|(?<![A-Za-z])(?i:answer)|####|\\boxed)"
# What stands between the announcement and the answer: particles, marks, wrappers of LaTeX.
_LINK = (
    r"(?:은|는|이|(?<![A-Za-z])(?:is|option|choice)(?![A-Za-z])|보기|선택지"
    r"|\\(?:boxed|text|textbf|mathbf|mathrm)|[\s:：=*_`\"'“”‘’(\[{<$-])*"
)
_MORE = r"(?!\s*(?:,|/|·|및|와|과|또는|and|or)\s*[(\[]?[A-J](?![A-Za-z0-9]))"

# A number: sign, digits with or without groups of three, decimals.
# More than thirty digits are a loop.
_DIGITS = (
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,9}(?![0-9])|[0-9]{1,30}(?![0-9]))(?:\.[0-9]{1,30}(?![0-9]))?"
    r"|\.[0-9]{1,30}(?![0-9]))"
)
_SMALL = {"십": 10, "백": 100, "천": 1000}
_BIG = {"만": 10**4, "억": 10**8, "조": 10**12}
_ENGLISH = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12
}  # fmt: skip
# Words that only begin like a unit: 10만큼 is "as much as 10", 3조각 are three pieces.
_UNIT = r"(?:[십백천](?:만(?!큼)|억)?|만(?!큼)|억|조(?=\s*(?:[0-9]|원|달러)))"
_REST = r"[0-9]{1,30}(?:,[0-9]{3}){0,9}(?![0-9])|\s[0-9],?[0-9]{3}(?![0-9])"
_KOREAN = rf"{_DIGITS}{_UNIT}(?:\s?{_DIGITS}{_UNIT}|{_REST})*"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)])[-−–]\s?)?(?<![A-Za-z0-9.^])(?<!\^\{{)(?:"
    rf"(?P<korean>{_KOREAN})"
    rf"|(?P<english>{_DIGITS})\s(?P<times>{'|'.join(_ENGLISH)})\b"
    r"|(?:(?P<whole>[0-9]{1,30})\s+)?(?P<top>[0-9]{1,30})\s*/\s*"
    r"(?P<bottom>(?!0+(?![0-9]))[0-9]{1,30})(?![0-9.,/])"
    rf"|(?P<plain>{_DIGITS})"
    r")(?!\s*\^|[eE][-+]?[0-9])"
)
_PART = re.compile(rf"({_DIGITS})([십백천]?[만억조]?)")
_COMMAND = re.compile(r"\\[A-Za-z]+|[√π^]")
_AFTER_MARK = re.compile(rf"(?:{_MARK})([^\n]*)")


def letter(text: str, letters: Sequence[str]) -> str | None:
    r"""The choice that an answer names; None where it names none, or several at once.

    It is the last letter that directly follows 정답, 답, "answer" or `\boxed`; without such an
    announcement an answer of one line that is, or begins with, the letter: C, (C), "C. 서울".

    Args:
        text: the answer, without thoughts.
        letters: those of the item's choices.
    """
    one = f"([{''.join(letters)}])(?![A-Za-z0-9])"
    found = re.findall(f"{_MARK}{_LINK}{one}{_MORE}", text)
    if found:
        return str(found[-1])
    alone = re.fullmatch(rf"[\s*(\[]*{one}(?:[.):\]*번,][^\n]*)?\s*", text.strip())
    return alone[1] if alone and not re.match(rf"[\s*(\[]*{one}\s*[,/]\s*[A-J]\b", text) else None


def number(text: str) -> Fraction | None:
    r"""The number that an answer gives, exactly; None where it gives none.

    It is the number in the last `\boxed{…}`; without a box the first one behind the last
    announcement (정답, 답, 최종 답, "answer", ####) in its line, behind the last = if there is one;
    without that the last number of the text. Groups (1,234), decimals, fractions (3/4,
    \frac{3}{4}, 1 1/2), Korean units (3만 5천, 1억 2천만) and English ones (3 million) are read;
    number words, roots and powers are not. Signs of currency and per cent do not count.
    """
    boxed = _last_box(text)
    if boxed is not None:
        inside = _plain(boxed).rpartition("=")[2]
        return None if _COMMAND.search(inside) else _first(inside)
    text = _plain(text)
    marked = _AFTER_MARK.findall(text)
    if marked:
        value = _first(marked[-1].rpartition("=")[2])
        if value is not None:
            return value
    found = list(_NUMBER.finditer(text))
    return _value(found[-1]) if found else None


def written(value: Fraction) -> str:
    """How a number is shown: 12, 0.5, 1/3."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    with localcontext() as context:
        context.prec = 1000  # thirty digits of a fraction make a hundred decimals
        return f"{Decimal(value.numerator) / value.denominator:f}"


def _last_box(text: str) -> str | None:
    r"""What the last `\boxed{…}` holds, braces within it in pairs."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    begin = start + len("\\boxed{")
    depth = 1
    for at in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[begin:at]
    return None  # cut by the limit of tokens


def _plain(text: str) -> str:
    """LaTeX of numbers as plain text."""
    text = re.sub(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r" \1/\2 ", text)
    text = re.sub(r"\\[dtc]?frac\s*([0-9])\s*([0-9])", r" \1/\2 ", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "", text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r" \1 ", text)
    text = text.replace("{,}", ",").replace("\\%", "%").replace("\\$", "$")
    return re.sub(r"\\(?:[!,;:>]|quad|left|right|displaystyle)", "", text)


def _first(text: str) -> Fraction | None:
    found = _NUMBER.search(text)
    return _value(found) if found else None


def _value(found: re.Match[str]) -> Fraction:
    if found["korean"]:
        size = _korean(found["korean"])
    elif found["english"]:
        size = _decimal(found["english"]) * _ENGLISH[found["times"]]
    elif found["top"]:
        size = int(found["whole"] or 0) + Fraction(int(found["top"]), int(found["bottom"]))
    else:
        size = _decimal(found["plain"])
    return -size if found["sign"] else size


def _korean(text: str) -> Fraction:
    """3만 5천 is 35,000: units below 만 count within the group that 만, 억 or 조 multiplies."""
    total = group = Fraction(0)
    for digits, unit in _PART.findall(text):
        small, big = _SMALL.get(unit[:1], 1), _BIG.get(unit[-1:], 1)
        group += _decimal(digits) * small
        if big > 1:
            total, group = total + group * big, Fraction(0)
    return total + group


def _decimal(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
