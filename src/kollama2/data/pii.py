"""Personal data in Korean text: phone numbers, resident numbers and e-mail addresses.

What is found is replaced by what it was, so that a sentence stays whole: `[전화번호]`. What
only might be personal is masked too: a corpus loses little by it, a person much.
"""

import re
from collections import Counter

EMAIL, PHONE, RESIDENT = "e-mail masked", "phone number masked", "resident number masked"
_MASKS = {EMAIL: "[이메일]", PHONE: "[전화번호]", RESIDENT: "[주민등록번호]"}

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
# Date of birth, then a digit for century and sex: 1-4 citizens, 5-8 foreigners, 9, 0 before 1900.
_RESIDENT = re.compile(
    r"(?<![\d-])\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\s?[-–]\s?)?\d\d{6}(?![\d-])"
)
# Mobile 010 to 019, areas 02 and 031 to 064, internet 070, forwarded 050x; also as +82 10 …
# Numbers of companies (1588-…, 080-…) are nobody's own and stay.
_PHONE = re.compile(
    r"(?<![\d.-])(?:\+?82[-\s.]?(?:\(0\))?|\(?0)(?:1[016789]|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50\d)"
    r"\)?[-\s.]?\d{3,4}[-\s.]?\d{4}(?![\d-])"
)


def mask(text: str) -> tuple[str, Counter[str]]:
    """Return the text without personal data, and how often each kind was masked."""
    found: Counter[str] = Counter()
    if "@" in text:
        text, found[EMAIL] = _EMAIL.subn(_MASKS[EMAIL], text)
    if re.search(r"\d{4}", text):
        text, found[RESIDENT] = _RESIDENT.subn(_MASKS[RESIDENT], text)
        text, found[PHONE] = _PHONE.subn(_MASKS[PHONE], text)
    return text, +found
