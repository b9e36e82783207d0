import unicodedata

from kollama2.korean import hangul


def test_counts_syllables_letters_and_bytes():
    text = "한국어 3개, ABC ㅋㅋ!"
    assert hangul.syllables(text) == 4
    assert hangul.letters(text) == 4 + 3 + 2
    assert hangul.hangul_bytes(text) == 3 * (4 + 2)
    assert hangul.characters(text) == 6
    assert hangul.share(text) == 6 / 9
    assert hangul.share("ﾡﾤ") == 1
    assert hangul.share("123") == 0
    assert hangul.share("ㅋㅋ ha") == 0.5
    assert hangul.share("12 !") == 0


def test_nfd_is_seen_and_composed():
    decomposed = unicodedata.normalize("NFD", "한국어")
    assert not hangul.is_nfc(decomposed)
    assert hangul.nfc(decomposed) == "한국어"
    assert hangul.hangul_bytes(decomposed) == len(decomposed.encode())
    assert hangul.share(decomposed) == 1
