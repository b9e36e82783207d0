"""Korean numbers: native 하나 둘 셋, Sino-Korean 일 이 삼, and their counters."""

SINO_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# Before a counter: 한 개, 두 개, 세 개, 네 개, 스무 개.
PRENOMINAL = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}
NATIVE_COUNTERS = frozenset(
    "명 마리 개 권 잔 살 시 시간 번 장 송이 켤레 벌 자루 그릇 사람 채".split()
)
SINO_COUNTERS = frozenset("분 월 일 원 년 층 주 초".split())
# 6월 is 유월 and 10월 is 시월.
MONTHS = {6: "유월", 10: "시월"}


def sino(number: int) -> str:
    """Sino-Korean reading of 0 to 99,999,999: 15 십오, 110 백십, 10000 만."""
    if not 0 <= number < 10**8:
        raise ValueError(f"{number} is outside 0 to 99,999,999")
    if number == 0:
        return "영"
    high, low = divmod(number, 10_000)
    head = "" if high == 0 else ("만" if high == 1 else _thousands(high) + "만")
    return head + _thousands(low)


def _thousands(number: int) -> str:
    text = ""
    for value, unit in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = number // value % 10
        if digit:
            # One thousand is 천, never 일천; the last digit keeps its 일.
            text += ("" if digit == 1 and unit else SINO_DIGITS[digit]) + unit
    return text


def native(number: int) -> str:
    """Native reading; hundreds and above are Sino-Korean, as speakers do: 21 스물하나, 103 백셋."""
    if not 1 <= number < 10_000:
        raise ValueError(f"{number} is outside 1 to 9,999")
    high, low = divmod(number, 100)
    return (_thousands(high * 100) if high else "") + NATIVE_TENS[low // 10] + NATIVE_ONES[low % 10]


def native_before(number: int) -> str:
    """Native reading before a counter: 1 한, 20 스무, 21 스물한."""
    text = native(number)
    for full, short in PRENOMINAL.items():
        if text.endswith(full):
            return text[: -len(full)] + short
    return text


def count(number: int, counter: str, *, digits: bool = False) -> str:
    """A number with its counter: (2, 마리) 두 마리, (3, 월) 삼월, with digits 2마리, 3월.

    Raises:
        ValueError: A counter that is in neither list.
    """
    if counter not in NATIVE_COUNTERS | SINO_COUNTERS:
        raise ValueError(f"unknown counter {counter!r}")
    if digits:
        return f"{number}{counter}"
    if counter == "월":
        return MONTHS.get(number, sino(number) + "월")
    if counter in SINO_COUNTERS:
        return f"{sino(number)} {counter}"
    return f"{native_before(number)} {counter}"
