"""The tokenizer of a llama2.c checkpoint gives the same ids wherever it is read."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from scripts import llama2c
from transformers import AutoTokenizer

from kollama2.errors import BadData, StorageTrouble
from kollama2.model.pieces import write_fast

TEXTS = [
    "Once upon a time, there was a fox.",
    "  two  spaces and a tail ",
    "a\n\n  b\t12345",
    "안녕하세요, 세계! 한국어",
    "Zoë says <s> and </s> 🦊",
    "",
    " ",
]


def auto_tokenizer(pieces: list[llama2c.Piece], folder: Path) -> Any:
    (folder / "tokenizer.model").write_bytes(llama2c.sentencepiece_model(pieces))
    write_fast(folder, bos=1)
    (folder / "tokenizer_config.json").write_text(json.dumps(llama2c.tokenizer_config(64)))
    return AutoTokenizer.from_pretrained(folder, split_special_tokens=True)


def test_three_readings_of_one_tokenizer_agree(
    tiny_tokenizer: Path, tokenizer_bin: Path, tmp_path: Path
) -> None:
    pieces = llama2c.read_tokenizer(tokenizer_bin, 384)
    imported = sentencepiece.SentencePieceProcessor(model_proto=llama2c.sentencepiece_model(pieces))
    original = sentencepiece.SentencePieceProcessor(
        model_file=str(tiny_tokenizer / "tokenizer.model")
    )
    auto = auto_tokenizer(pieces, tmp_path)
    for text in TEXTS:
        ids = imported.encode(text)
        assert auto.encode(text, add_special_tokens=False) == ids
        assert auto.encode(text) == [1, *ids]
        assert auto.decode(ids) == imported.decode(ids) == text
        if text == " ".join(text.split()):  # the original folds spaces, llama2.c does not
            assert original.encode(text) == ids
    assert (auto.unk_token_id, auto.bos_token_id, auto.eos_token_id) == (0, 1, 2)


@pytest.fixture(scope="module")
def both(tokenizer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    pieces = llama2c.read_tokenizer(tokenizer_bin, 384)
    model = llama2c.sentencepiece_model(pieces)
    return (
        sentencepiece.SentencePieceProcessor(model_proto=model),
        auto_tokenizer(pieces, tmp_path_factory.mktemp("both")),
    )


words = st.sampled_from([*"aeotnrsh 0▁가힣ㅎ\n\t🦊é", "the ", "The fox", " li", "<s>", "미라는"])


@given(parts=st.lists(words, max_size=30))
def test_sentencepiece_and_transformers_agree_on_any_text(
    parts: list[str], both: tuple[Any, Any]
) -> None:
    text = "".join(parts)
    sp, auto = both
    assert auto.encode(text, add_special_tokens=False) == sp.encode(text)


def test_the_real_llama_2_tokenizer_is_rebuilt_exactly(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "tokenizers" / "karpathy__llama2.c"
    official = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    pieces = llama2c.read_tokenizer(folder / "tokenizer.bin", 32000)
    assert [piece.text for piece in pieces] == [official.id_to_piece(i) for i in range(32000)]

    rebuilt = sentencepiece.SentencePieceProcessor(model_proto=llama2c.sentencepiece_model(pieces))
    auto = auto_tokenizer(pieces, tmp_path)
    news = real_data / "parallel" / "jungyeul__korean-parallel-corpora"
    lines = TEXTS + [
        line
        for side in ("ko", "en")
        for line in (news / f"korean-english-park.dev.{side}").read_text("utf-8").splitlines()
    ]
    assert len(lines) == 2000 + len(TEXTS)
    wrong = [
        line
        for line in lines
        if not (
            official.encode(line)
            == rebuilt.encode(line)
            == auto.encode(line, add_special_tokens=False)
        )
    ]
    assert wrong == []


def patched(data: bytes, id_: int, text: bytes) -> bytes:
    """Return the file with another text in one piece."""
    at = 4
    for _ in range(id_):
        at += 8 + struct.unpack_from("<i", data, at + 4)[0]
    (length,) = struct.unpack_from("<i", data, at + 4)
    return data[: at + 4] + struct.pack("<i", len(text)) + text + data[at + 8 + length :]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: data[:2], "breaks off or turns to noise after 0 pieces"),
        (lambda data: data[:-1], "piece 383 has score"),
        (lambda data: data + b"\0\0\0", "after 384 pieces"),
        (lambda data: patched(data, 383, b"\xff\xfe"), "turns to noise after 383 pieces"),
        (lambda data: patched(data, 300, b""), "piece 300 has score -41 and length 0"),
        (lambda data: patched(data, 300, b"longer than any"), r"length 15 \(longest by the header"),
        (lambda data: patched(data, 1, b"<bos>"), "begins with <unk>, <bos>, </s>"),
        (lambda data: patched(data, 13, b"\n"), "piece 13 must be the byte <0x0A>"),
        (lambda data: patched(data, 300, b"<s>"), "the same piece twice"),
    ],
)
def test_a_bad_tokenizer_is_one_sentence(
    damage: Callable[[bytes], bytes], says: str, tokenizer_bin: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(damage(tokenizer_bin.read_bytes()))
    with pytest.raises(BadData, match=says) as error:
        llama2c.read_tokenizer(path, 384)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tokenizer_of_another_checkpoint_is_refused(tokenizer_bin: Path) -> None:
    with pytest.raises(BadData, match="has 384 pieces, but the checkpoint's header says 512"):
        llama2c.read_tokenizer(tokenizer_bin, 512)
    with pytest.raises(StorageTrouble, match="cannot be written or read"):
        llama2c.read_tokenizer(tokenizer_bin.parent, 384)
