"""What tokenizers spend on Korean, counted by hand on a tokenizer whose every piece is known."""

from pathlib import Path
from unicodedata import normalize

import pytest

from kollama2.errors import BadData
from kollama2.model.handover import copy_tokenizer
from kollama2.vocab.expand import expand
from kollama2.vocab.fertility import Fertility, fertility
from kollama2.vocab.settings import VocabSettings
from tests import tiny
from tests.vocab.corpus import byte_level, small_ranks


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_tokenizer(tmp_path_factory.mktemp("tokenizers") / "old")


def test_hangul_that_falls_to_bytes(old: Path) -> None:
    (found,) = fertility([old], ["사과 세 개", "여우"])
    # A space before each line and word, and three bytes for each of its six syllables.
    assert found.per_eojeol == (4 + 18) / 4
    assert found.per_character == 22 / 8
    assert found.per_byte == 22 / (14 + 6)
    assert found.byte_share == 18 / 22
    assert (found.name, found.size, found.hangul, found.dead) == ("old", 384, 0, 0)
    assert found.window == round(4096 * 8 / 22)
    assert (found.speed, found.premium) == (1.0, None)


def test_a_larger_vocabulary_beside_it(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    copy_tokenizer(old, new)
    expand(old, new, tiny.KOREAN * 5, VocabSettings(size=40, syllables=False))
    english = tiny.ENGLISH[: len(tiny.KOREAN)]
    before, after = fertility([old, new], tiny.KOREAN, english)
    assert (after.hangul, after.dead) == (40, 0)
    assert after.speed == pytest.approx(before.per_character / after.per_character)
    assert after.speed > 2
    assert before.premium is not None and after.premium is not None
    # English is spelled as before.
    assert before.premium / after.premium == pytest.approx(after.speed)


def test_composed_and_decomposed_text_are_the_same(old: Path) -> None:
    nfd = [normalize("NFD", line) for line in tiny.KOREAN]
    assert nfd != tiny.KOREAN
    assert fertility([old], nfd) == fertility([old], tiny.KOREAN)


def test_parts_of_characters_count_as_bytes(tmp_path: Path) -> None:
    folder = byte_level(tmp_path / "bytes", small_ranks())
    found: Fertility = fertility([folder], ["사과"])[0]
    assert (found.per_eojeol, found.byte_share, found.hangul) == (6.0, 1.0, 0)


def test_text_without_hangul_is_refused(old: Path) -> None:
    with pytest.raises(BadData, match="the corpus holds no Hangul"):
        fertility([old], tiny.ENGLISH)
