"""Expansion of SentencePiece and byte-level tokenizers, and what its audit refuses."""

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.errors import BadData, BadUsage
from kollama2.model.pieces import read_pieces
from kollama2.model.probe import HARD
from kollama2.vocab.audit import audit, refuse
from kollama2.vocab.expand import expand
from kollama2.vocab.learn import count_words, ended, ksx1001, learn, sampled
from kollama2.vocab.runtimes import runtimes
from kollama2.vocab.settings import VocabSettings
from tests.vocab.corpus import byte_level, korean, llama3_ranks, small_ranks

ADDED = VocabSettings(size=300, syllables=False)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return korean(tmp_path_factory.mktemp("ko"))


@pytest.fixture(scope="module", params=["sentencepiece", "byte-level"])
def old(
    request: pytest.FixtureRequest, tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "sentencepiece":
        return tiny_tokenizer
    return byte_level(tmp_path_factory.mktemp("bytes"), small_ranks())


@pytest.fixture(scope="module")
def grown(old: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The expanded tokenizer, as its runtimes, and what the expansion said."""
    out = tmp_path_factory.mktemp("grown")
    found = expand(old, out, texts, ADDED)
    return runtimes(out), found


def test_the_syllables_of_the_standard() -> None:
    found = ksx1001()
    assert len(found) == len(set(found)) == 2350
    assert (found[0], found[-1]) == ("가", "힝")
    assert "똠" not in found  # the syllable that made the standard's gaps famous
    assert all(unicodedata.is_normalized("NFC", one) for one in found)


def test_words_are_runs_of_hangul_with_the_space_before_them() -> None:
    lines = ["한국 한국어, 한국(Korea)", "hello hello hello 안", "안녕".encode().decode()]
    decomposed = unicodedata.normalize("NFD", "안녕")
    assert count_words([*lines, decomposed]) == {" 한국": 2, " 한국어": 1, " 안녕": 2}
    with pytest.raises(BadData, match="no line that is mostly Hangul"):
        count_words(["only English", ""])


def test_an_ending_belongs_to_its_word() -> None:
    lines = ["있다. 3.5배, 있다... 갑,을.병, 이다.” Kim은.", "여기는 kollama.한국 입니다."]
    assert count_words(lines, ended(",.")) == {
        " 있다.": 1, "배,": 1, " 있다": 1, " 갑": 1, "을": 1, "병,": 1, " 이다.": 1, "은.": 1,
        " 여기는": 1, "한국": 1, " 입니다.": 1,
    }  # fmt: skip


def test_a_small_corpus_gives_what_it_has() -> None:
    words = count_words(["안녕하세요 안녕하세요 한국"])
    assert "▁안녕하세요" in learn(words, 100_000)


def test_a_sample_is_korean_and_of_the_asked_size() -> None:
    kept: list[str] = []
    lines = [f"줄 {i}\nline {i}" for i in range(100)]
    assert list(sampled(lines, kept, 10)) == lines
    assert len(kept) == 10
    assert all(line.startswith("줄") for line in kept)


def test_an_expansion_passes_its_audit(grown: tuple[Any, Any]) -> None:
    _, found = grown
    assert 200 <= found["new"] <= 300
    audited = found["audit"]
    assert audited["faults"] == ()
    assert (audited["changed"], audited["lost"], audited["dead"]) == (0, 0, ())
    assert set(audited["disagreeing"].values()) == {0}
    assert audited["unchanged"] == 10_000


def test_korean_gets_shorter_and_english_stays(
    old: Path, grown: tuple[Any, Any], texts: list[str]
) -> None:
    before, (after, _) = runtimes(old), grown
    spent = [sum(map(len, one.encode(texts))) for one in (before, after)]
    assert spent[1] < spent[0] / 2
    english = ["The fox lives in the old town.", "  def f(x):\n\treturn x", "Ünïcødé ру́сский 漢字"]
    assert after.encode(english) == before.encode(english)
    assert list(after.pieces[: len(before.pieces)]) == list(before.pieces)


@given(st.text(st.sampled_from("가나다라한국어 abc.\n1뷁똠🇰ㅋㄱ漢"), min_size=1, max_size=30))
def test_every_runtime_gives_the_same_ids_and_nothing_is_lost(
    grown: tuple[Any, Any], text: str
) -> None:
    after, _ = grown
    reference, *others = [encode([text])[0] for encode in after.encoders.values()]
    assert all(ids == reference for ids in others)
    assert after.decode(reference) == text


def test_hard_lines_are_hard(grown: tuple[Any, Any]) -> None:
    assert not all(unicodedata.is_normalized("NFC", line) for line in HARD)
    after, _ = grown
    for line in HARD:
        composed = unicodedata.normalize("NFC", line)
        assert after.decode(after.encode([composed])[0]) == composed


def test_syllables_come_first(tiny_tokenizer: Path, texts: list[str], tmp_path: Path) -> None:
    expand(tiny_tokenizer, tmp_path, texts, VocabSettings(size=2400))
    proto = read_pieces(tmp_path)
    assert [one.piece for one in proto.pieces][384:2734] == ksx1001()
    assert len(proto.pieces) == proto.trainer_spec.vocab_size == 2816  # a multiple of 64
    scores = [one.score for one in proto.pieces[384 : 384 + 2400]]
    assert scores == sorted(set(scores), reverse=True)
    after = runtimes(tmp_path)
    (ids,) = after.encode([ksx1001()[1000] + ksx1001()[-1]])
    assert sum(after.pieces[i].startswith("<0x") for i in ids) == 0


def test_rare_syllables_stay_bytes(tiny_tokenizer: Path, tmp_path: Path) -> None:
    texts = ["가나다 가나다 가나", "다라 가"]
    expand(tiny_tokenizer, tmp_path, texts, VocabSettings(size=2400, min_count=3))
    new = [one.piece for one in read_pieces(tmp_path).pieces[384:] if one.type == 1]
    # 가 4, 나 3, 다 3 times; 라 once, so it is a piece only because a learned one needs it.
    assert new[:3] == ["가", "나", "다"]
    assert "힝" not in new


def test_pieces_with_an_ending(tiny_tokenizer: Path, texts: list[str], tmp_path: Path) -> None:
    found = expand(
        tiny_tokenizer, tmp_path, texts, VocabSettings(size=300, syllables=False, endings=True)
    )
    assert found["audit"]["faults"] == ()
    before, after = runtimes(tiny_tokenizer), runtimes(tmp_path)
    ended = [piece for piece in after.pieces[384:] if piece.endswith(".")]
    assert "니다." in ended
    assert all("가" <= piece[-2] <= "힣" for piece in ended)
    # No piece of punctuation alone, and marks without Hangul before them are what they were.
    for line in ("3.5, 7... a.b, c.", 'He said "no."'):
        assert after.encode([line]) == before.encode([line])
    (ids,) = after.encode(["있습니다. 3.5"])
    assert [after.pieces[i] for i in ids][-4:] == ["▁", "<0x33>", ".", "<0x35>"]


@pytest.mark.parametrize("procedure", ["chinese-llama2", "llama2-ko", "eeve"])
def test_published_expansions_keep_their_faults(
    procedure: Any, tiny_tokenizer: Path, texts: list[str], tmp_path: Path
) -> None:
    chosen = VocabSettings(procedure=procedure, size=200)
    found = expand(tiny_tokenizer, tmp_path, texts, chosen)
    assert 100 <= found["new"] <= 200
    new = read_pieces(tmp_path).pieces[384 : 384 + found["new"]]
    if procedure == "chinese-llama2":
        assert new[0].piece == "<pad>"
        assert {one.score for one in new} == {0.0}
        # Ties let every runtime choose in its own way.
        assert found["audit"]["faults"]
    else:
        assert new[0].score > new[-1].score
    if procedure == "llama2-ko":
        assert found["audit"]["faults"] == ()
    if procedure == "eeve":
        assert found["audit"]["dead"]
    assert json.loads((tmp_path / "expansion.json").read_text())["audit"]["faults"] == list(
        found["audit"]["faults"]
    )


def test_the_published_sizes() -> None:
    totals = {name: 32_000 + VocabSettings(procedure=name).wanted for name in
              ("chinese-llama2", "llama2-ko", "eeve")}  # fmt: skip
    assert totals == {"chinese-llama2": 55_296, "llama2-ko": 46_336, "eeve": 40_960}


def test_an_audit_names_the_line(tiny_tokenizer: Path, texts: list[str], tmp_path: Path) -> None:
    expand(tiny_tokenizer, tmp_path, texts, ADDED)
    good = runtimes(tmp_path)
    pieces = {384: good.pieces[384].replace("▁", " ")}
    proto = read_pieces(tmp_path)
    proto.pieces.add(piece="py", score=1000.0, type=1)  # English changes
    proto.pieces.add(piece="한글꼴", score=-5000.0, type=1)  # nothing makes its parts
    (tmp_path / "tokenizer.model").write_bytes(proto.SerializeToString())
    pieces[len(proto.pieces) - 1] = "한글꼴"
    found = audit(runtimes(tiny_tokenizer), runtimes(tmp_path), pieces, ["여우 happy"])
    assert found.changed > 0
    assert found.dead == ("한글꼴",)
    assert found.disagreeing["tokenizers"] == 1
    assert any("'여우 happy'" in fault for fault in found.faults)
    with pytest.raises(BadData, match=r"fails its audit: \d+ lines without Hangul changed, first"):
        refuse(found)


def test_what_cannot_be_expanded(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadData, match="holds neither"):
        expand(tmp_path, tmp_path, texts, ADDED)
    folder = byte_level(tmp_path / "bytes", small_ranks())
    with pytest.raises(BadUsage, match="use hangul-append"):
        expand(folder, tmp_path, texts, VocabSettings(procedure="eeve"))
    with pytest.raises(BadUsage, match="cuts punctuation off before it merges"):
        expand(folder, tmp_path, texts, VocabSettings(endings=True))
    with pytest.raises(BadUsage, match="belong to hangul-append, not to llama2-ko"):
        expand(folder, tmp_path, texts, VocabSettings(procedure="llama2-ko", endings=True))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadData, match="not a byte-level BPE"):
        expand(folder, tmp_path, texts, ADDED)
    (tmp_path / "tokenizer.model").write_bytes(b"nonsense")
    with pytest.raises(BadData, match="not a SentencePiece model"):
        expand(tmp_path, tmp_path, texts, ADDED)


def petitions(real_data: Path) -> list[str]:
    """Real sentences, one a line."""
    file = real_data / "text_ko/lovit__petitions_archive/petitions_2019-04"
    rows = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(row)["content"].replace(". ", ".\n") for row in rows]


@pytest.mark.slow
def test_llama_2_on_real_text(real_data: Path, tmp_path: Path) -> None:
    news = real_data / "parallel/jungyeul__korean-parallel-corpora/korean-english-park.dev.ko"
    texts = petitions(real_data)
    folder = real_data / "tokenizers/karpathy__llama2.c"
    found = expand(folder, tmp_path, texts, VocabSettings(size=8704))
    assert found["audit"]["korean"] == 2010
    assert found["audit"]["faults"] == ()
    lines = news.read_text(encoding="utf-8").splitlines()
    tokens = sum(map(len, runtimes(tmp_path).encode(lines)))
    assert tokens / sum(len(line.split()) for line in lines) < 2.6

    denser = VocabSettings(size=8704, min_count=20, endings=True)
    found = expand(folder, tmp_path, texts, denser)
    assert found["audit"]["faults"] == ()
    assert sum(map(len, runtimes(tmp_path).encode(lines))) < 0.98 * tokens


@pytest.mark.slow
def test_llama_3_on_real_text(real_data: Path, tmp_path: Path) -> None:
    ranks = llama3_ranks(real_data / "tokenizers/meta-llama__llama-models/tokenizer.model")
    folder = byte_level(tmp_path / "llama3", ranks)
    texts = petitions(real_data)
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    found = expand(folder, out, texts, VocabSettings(size=4000))
    assert found["audit"]["faults"] == ()
    before, after = (sum(map(len, runtimes(one).encode(texts[:100]))) for one in (folder, out))
    assert after < 0.85 * before
