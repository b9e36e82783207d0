"""The sound that a Korean reader ends a word with, whatever script it is written in.

Hangul by its last letter; digits as Sino-Korean numbers, with their units; Latin letters by name or
as an English word in Hangul; hanja by their usual reading. What stands behind a word and has no
sound of its own (brackets and what is in them, quotation marks, full stops, emoji) is not read.
"""

import re
import unicodedata
from bisect import bisect

from kollama2.korean import hangul
from kollama2.korean.latin import final_of_latin

_BRACKETS = re.compile(r"(?:\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）|〈[^〈〉]*〉)$")
_NUMBER = r"\d(?:[\d,]*\d)?(?:\.\d+)?"
_MONEY = re.compile(rf"([$€£¥₩])\s?[-+]?{_NUMBER}$")
_MEASURED = re.compile(r"\d\s?([A-Za-zµΩ]+)(?:/([A-Za-z]+))?[23²³]?$")
# A third is 삼분의 일: read from below, it ends like what is above.
_FRACTION = re.compile(r"(?<![\d/.])(\d{1,3})[/⁄]\d{1,3}$")

# 영 일 이 삼 사 오 육 칠 팔 구; then 십 백 천 and 만 억 조 경 해, by the zeros at the end.
_DIGITS = ["ㅇ", "ㄹ", "", "ㅁ", "", "", "ㄱ", "ㄹ", "ㄹ", ""]
_TENS = ["", "ㅂ", "ㄱ", "ㄴ"]
_MYRIADS = ["", "ㄴ", "ㄱ", "", "ㅇ", ""]
# Signs that are read: 퍼센트 퍼밀 도 도 도 플러스 샵, 달러 유로 파운드 엔 원.
_SIGNS = {
    **dict.fromkeys("%℃℉°+$€£", ""),
    "‰": "ㄹ",
    "¥": "ㄴ",
    "₩": "ㄴ",
    **dict.fromkeys("#²³", "ㅂ"),
}
# Units behind a number, by the end of their names.
_UNITS = {
    unit: sound
    for sound, units in {
        "": "m M km cm mm nm µm L l ml dL kL ms bit eV in ft lb oz pt cal kcal",
        "ㄴ": "t h min",
        "ㄹ": "dB J kJ Pa hPa kPa MPa mol px Bq mi",
        "ㅁ": "g kg mg µg Ω kΩ MΩ",
        "ㅂ": "atm",
    }.items()
    for unit in units.split()
}
_ALONE = re.compile(r"(?<![A-Za-z])(?:[kcmn]?m[²³]|[kcmnµ]m|[mk]g|m[lL]|kcal|dB|[kh]Pa)$")
_SQUARES = {
    "㎡": "m²",
    "㎢": "km²",
    "㎠": "cm²",
    "㎥": "m³",
    "㎤": "cm³",
    "ℓ": "리터",
    "㈜": "주식회사",
}
# Behind a Latin letter one digit may be English: 엠피쓰리, 티원, 지세븐.
_ENGLISH = re.compile(r"[A-Za-z]-?([137])$")
_ENGLISH_DIGITS = {"1": "ㄴ", "3": "", "7": "ㄴ"}

# KS X 1001 has its 4,888 hanja in the order of their readings, so the first of each run of equal
# final sounds tells them all; "." is a vowel. Where a hanja has several readings (樂, 不), this is
# the one under which Unicode's composed form has it.
_HANJA = (
    "伽.刻ㄱ侃ㄴ乫ㄹ勘ㅁ匣ㅂ剛ㅇ介.喀ㄱ坑ㅇ醵ㄱ倨.乾ㄴ乞ㄹ儉ㅁ劫ㅂ偈.擊ㄱ堅ㄴ抉ㄹ兼ㅁ京ㅇ係.哭ㄱ困ㄴ汨ㄹ供ㅇ寡.廓ㄱ冠ㄴ刮ㄹ侊ㅇ卦.宏ㅇ交.國ㄱ君ㄴ堀ㄹ宮ㅇ倦ㄴ厥ㄹ机.勻ㄴ"
    "橘ㄹ克ㄱ僅ㄴ今ㅁ伋ㅂ亘ㅇ企.緊ㄴ佶ㄹ金ㅁ喫ㄱ儺.諾ㄱ暖ㄴ捏ㄹ南ㅁ納ㅂ囊ㅇ乃.年ㄴ念ㅁ寧ㅇ努.濃ㅇ惱.嫩ㄴ訥ㄹ杻.能ㅇ尼.匿ㄱ多.丹ㄴ撻ㄹ啖ㅁ沓ㅂ唐ㅇ代.宅ㄱ倒.毒ㄱ墩ㄴ乭ㄹ"
    "仝ㅇ兜.屯ㄴ得ㄱ嶝ㅇ喇.洛ㄱ亂ㄴ剌ㄹ嵐ㅁ拉ㅂ廊ㅇ來.冷ㅇ掠ㄱ亮ㅇ侶.力ㄱ憐ㄴ冽ㄹ廉ㅁ獵ㅂ令ㅇ例.碌ㄱ論ㄴ壟ㅇ儡.龍ㅇ壘.六ㄱ侖ㄴ律ㄹ隆ㅇ勒ㄱ凜ㅁ凌ㅇ俚.吝ㄴ林ㅁ砬ㅂ摩.寞ㄱ"
    "万ㄴ唜ㄹ亡ㅇ埋.脈ㄱ孟ㅇ冪ㄱ免ㄴ滅ㄹ冥ㅇ袂.木ㄱ歿ㄹ夢ㅇ卯.墨ㄱ們ㄴ勿ㄹ味.岷ㄴ密ㄹ剝ㄱ伴ㄴ勃ㄹ倣ㅇ倍.伯ㄱ幡ㄴ伐ㄹ凡ㅁ法ㅂ僻ㄱ卞ㄴ別ㄹ丙ㅇ保.伏ㄱ本ㄴ乶ㄹ俸ㅇ不.北ㄱ分ㄴ"
    "佛ㄹ崩ㅇ丕.嚬ㄴ憑ㅇ乍.削ㄱ傘ㄴ乷ㄹ三ㅁ揷ㅂ上ㅇ塞.嗇ㄱ牲ㅇ墅.夕ㄱ仙ㄴ卨ㄹ剡ㅁ攝ㅂ城ㅇ世.俗ㄱ孫ㄴ率ㄹ宋ㅇ刷.叔ㄱ巡ㄴ戌ㄹ崇ㅇ瑟ㄹ濕ㅂ丞ㅇ侍.埴ㄱ伸ㄴ失ㄹ審ㅁ什ㅂ雙ㅇ氏."
    "堊ㄱ安ㄴ斡ㄹ唵ㅁ壓ㅂ仰ㅇ厓.厄ㄱ櫻ㅇ也.弱ㄱ佯ㅇ圄.億ㄱ偃ㄴ孼ㄹ俺ㅁ嶪ㅂ円ㄴ予.亦ㄱ嚥ㄴ悅ㄹ厭ㅁ曄ㅂ塋ㅇ乂.屋ㄱ溫ㄴ兀ㄹ壅ㅇ渦.婉ㄴ曰ㄹ往ㅇ倭.慾ㄱ俑ㅇ于.勖ㄱ云ㄴ蔚ㄹ熊ㅇ"
    "元ㄴ月ㄹ位.堉ㄱ允ㄴ聿ㄹ戎ㅇ垠ㄴ乙ㄹ吟ㅁ揖ㅂ凝ㅇ依.瀷ㄱ人ㄴ一ㄹ任ㅁ入ㅂ仍ㅇ仔.作ㄱ孱ㄴ岑ㅁ雜ㅂ丈ㅇ再.爭ㅇ佇.勣ㄱ佃ㄴ切ㄹ占ㅁ接ㅂ丁ㅇ制.族ㄱ存ㄴ卒ㄹ倧ㅇ佐.竹ㄱ俊ㄴ茁ㄹ"
    "中ㅇ卽ㄱ櫛ㄹ楫ㅂ增ㅇ之.直ㄱ唇ㄴ侄ㄹ斟ㅁ執ㅂ徵ㅇ且.捉ㄱ撰ㄴ刹ㄹ僭ㅁ倉ㅇ債.冊ㄱ凄.倜ㄱ仟ㄴ凸ㄹ僉ㅁ堞ㅂ廳ㅇ剃.促ㄱ寸ㄴ叢ㅇ撮ㄹ催.丑ㄱ春ㄴ出ㄹ充ㅇ悴.側ㄱ層ㅇ侈.則ㄱ親ㄴ"
    "七ㄹ侵ㅁ蟄ㅂ秤ㅇ快.倬ㄱ呑ㄴ奪ㄹ探ㅁ塔ㅂ宕ㅇ兌.擇ㄱ撑ㅇ攄.慟ㅇ堆.慝ㄱ闖ㅁ坡.判ㄴ八ㄹ佩.彭ㅇ愎ㄱ便ㄴ貶ㅁ坪ㅇ吠.幅ㄱ俵.品ㅁ楓ㅇ彼.匹ㄹ乏ㅂ下.壑ㄱ寒ㄴ割ㄹ函ㅁ合ㅂ亢ㅇ"
    "亥.劾ㄱ倖ㅇ噓.憲ㄴ歇ㄹ險ㅁ奕ㄱ俔ㄴ孑ㄹ嫌ㅁ俠ㅂ亨ㅇ兮.惑ㄱ婚ㄴ忽ㄹ哄ㅇ化.擴ㄱ丸ㄴ活ㄹ凰ㅇ匯.劃ㄱ宖ㅇ哮.勛ㄴ薨ㅇ喧ㄴ卉.恤ㄹ兇ㅇ黑ㄱ昕ㄴ吃ㄹ欠ㅁ吸ㅂ興ㅇ僖.詰ㄹ"
)
_HANJA_STARTS = [one.encode("euc_kr") for one in _HANJA[::2]]
_GREEK_CLOSED = {"ε": "ㄴ", "ο": "ㄴ", "υ": "ㄴ"}  # 엡실론 오미크론 입실론


def final_sound(word: str) -> str | None:
    """The consonant that a Korean reader ends a word with: "ㄹ", "ㄴ" and so on, "" after a vowel.

    Args:
        word: a word or a phrase; NFC or not.

    Returns:
        A letter of Hangul, "", or None where no reading is known: signs alone, ㅋㅋ, other scripts.
    """
    text = _spoken(_plain(word))
    last = text[-1:]
    if hangul.is_syllable(last):
        return hangul.split(last)[2].strip()
    if money := _MONEY.search(text):
        return _SIGNS[money[1]]
    unit = _unit(text)
    if unit is not None:
        return unit
    if last in _SIGNS:
        return _SIGNS[last]
    if last.isascii() and last.isdigit():
        return _final_of_number(text)
    return final_of_latin(text) if last.isascii() and last.isalpha() else _other(text)


def _plain(word: str) -> str:
    """NFC, with the letters of ㎏ and of full width, Ⅲ and ① as digits; ² and ³ stay."""
    found = []
    for one in hangul.nfc(word):
        if one in _SQUARES:
            found.append(_SQUARES[one])
        elif unicodedata.category(one) in {"Nl", "No"} and unicodedata.numeric(one, 0.5) % 1 == 0:
            found.append(one if one in "²³" else str(int(unicodedata.numeric(one))))
        elif one in "℃℉" or hangul.is_hangul(one):
            found.append(one)
        else:
            found.append(unicodedata.normalize("NFKC", one))
    return "".join(found).replace("μ", "µ").strip()


def _spoken(text: str) -> str:
    """A text without what stands silent at its end; what is in the brackets if that is all."""
    while text:
        if bare := _BRACKETS.search(text):
            text = text[: bare.start()].rstrip() or text[1:-1]
        elif text[-1].isalnum() or text[-1] in _SIGNS:
            break
        else:
            text = text[:-1].rstrip()
    return text


def _unit(text: str) -> str | None:
    """The last sound of a unit behind a number, or of kg and the like anywhere."""
    if measured := _MEASURED.search(text):
        name, per = measured.groups()
        if per:  # 미터 퍼 세컨드, 아워, 미닛, but 퍼 리터
            return "" if per in {"s", "sec", "h", "min"} else _UNITS.get(per)
        tail = name.lower() if len(name) > 1 and name.lower() in _UNITS else name
        return _UNITS.get(name, _UNITS.get(tail))
    return _UNITS.get(alone[0].rstrip("²³"), "") if (alone := _ALONE.search(text)) else None


def _final_of_number(text: str) -> str | None:
    if english := _ENGLISH.search(text):
        return _ENGLISH_DIGITS[english[1]]
    fraction = _FRACTION.search(text)
    found = re.search(rf"{_NUMBER}$", fraction[1] if fraction else text)
    assert found is not None, "the text ends in a digit"
    whole, _, decimals = found[0].partition(".")
    digits = decimals or whole.replace(",", "")
    zeros = len(digits) - len(digits.rstrip("0"))
    if decimals or not zeros or digits.startswith("0"):
        return _DIGITS[int(digits[-1])]
    if zeros < 4:
        return _TENS[zeros]
    return _MYRIADS[zeros // 4] if zeros // 4 < len(_MYRIADS) else None


def _other(text: str) -> str | None:
    """Of what is no syllable, digit or Latin letter: jamo, hanja, kana, a Greek letter."""
    last, before = text[-1:], text[-2:-1]
    if not last:
        return None
    if "ㅏ" <= last <= "ㅣ":
        return ""
    if "ㄱ" <= last <= "ㅎ":  # 기역 니은 디귿, but nobody says ㅋㅋ so
        return None if "ㄱ" <= before <= "ㅎ" else last
    if "ぁ" <= last <= "ヿ":
        return "ㄴ" if last in "んン" else ""
    if "α" <= last.lower() <= "ω":
        return _GREEK_CLOSED.get(last.lower(), "")
    if unicodedata.normalize("NFD", last)[:1].isascii():  # é
        return final_of_latin(text)
    if "一" <= last <= "鿿":
        try:
            place = bisect(_HANJA_STARTS, last.encode("euc_kr"))
        except UnicodeEncodeError:
            return None
        return _HANJA[2 * place - 1].strip(".") if place else None
    return None
