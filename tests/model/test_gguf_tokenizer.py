"""The tokenizer of a GGUF file: its own rules, here and in transformers, to the id."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from kollama2.errors import BadData
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.tokenizer import write_tokenizer
from kollama2.model.merging import merge_bytes
from kollama2.model.messages import Message
from kollama2.model.tokenizer import Tokenizer, load_tokenizer
from tests.model import gguf_files as files
from tests.model.gguf_files import CONTROL, NORMAL, USER_DEFINED
from tests.vocab.corpus import byte_level, small_ranks

CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


def made(folder: Path, keys: dict[str, Any], **more: Any) -> Path:
    """The folder that a file with these keys becomes, without a model."""
    folder.mkdir(exist_ok=True)
    write_tokenizer(Gguf(files.write(folder / "x.gguf", "llama", {}, keys, **more)), folder)
    (folder / "x.gguf").unlink()
    return folder


def with_tokens(keys: dict[str, Any], tokens: dict[str, int], score: float = -1000.0) -> dict:
    """More tokens, each of its kind."""
    grown = {
        **keys,
        "tokens": [*keys["tokens"], *tokens],
        "token_type": [*keys["token_type"], *tokens.values()],
    }
    if "scores" in keys:
        grown["scores"] = [*keys["scores"], *[score] * len(tokens)]
    return grown


@pytest.fixture
def spm(tiny_tokenizer: Path) -> dict[str, Any]:
    return files.sentencepiece_keys(tiny_tokenizer)


@pytest.fixture
def bpe(tmp_path: Path) -> dict[str, Any]:
    """Bytes, English merges, and numbers: 20, 202, 2024."""
    ranks = small_ranks()
    for number in (b"20", b"202", b"2024", b" 2", b" 20"):
        ranks[number] = len(ranks)
    return files.byte_keys(byte_level(tmp_path / "ranks", ranks), "llama-bpe")


def cut(keys: dict[str, Any], found: Tokenizer, text: str) -> list[str]:
    return [keys["tokens"][i].replace("Ġ", " ") for i in found.encode(text)]


def test_the_dummy_prefix_is_the_files(spm: dict[str, Any], tmp_path: Path) -> None:
    usual = load_tokenizer(made(tmp_path / "a", spm))
    bare = load_tokenizer(made(tmp_path / "b", {**spm, "add_space_prefix": False}))
    assert (usual.dummy_prefix, bare.dummy_prefix) == (True, False)
    assert usual.encode("fox") == bare.encode(" fox")
    for folder, found in ((tmp_path / "a", usual), (tmp_path / "b", bare)):
        theirs = AutoTokenizer.from_pretrained(folder)
        for text in ("fox", " fox", "  two  spaces", "여우", "\n\tx"):
            assert theirs(text).input_ids == [1, *found.encode(text)]
            assert found.decode(found.encode(text)) == text


@pytest.mark.parametrize(("says", "begins"), [(None, 1), (True, 1), (False, None)])
def test_bos_is_the_files(
    spm: dict[str, Any], tmp_path: Path, says: bool | None, begins: int | None
) -> None:
    folder = made(tmp_path / "x", {**spm, "add_bos_token": says})
    assert load_tokenizer(folder).bos_id == begins
    theirs = AutoTokenizer.from_pretrained(folder)("The fox").input_ids
    assert (theirs[0] == 1) is (begins == 1)
    assert theirs[begins is not None :] == load_tokenizer(folder).encode("The fox")


def test_bos_of_byte_level_files_that_do_not_say_it(bpe: dict[str, Any], tmp_path: Path) -> None:
    for pre, begins in (("llama-bpe", True), ("smollm", False), ("gpt-4o", False)):
        found = load_tokenizer(made(tmp_path / pre, {**bpe, "pre": pre}))
        assert (found.bos_id == bpe["bos_token_id"]) is begins


def test_tokens_that_are_wanted_whole(spm: dict[str, Any], tmp_path: Path) -> None:
    """As in Gemma's files: lines and runs of spaces, spelled with real spaces."""
    whole = {"\n\n": USER_DEFINED, "  ": USER_DEFINED, "   ": USER_DEFINED, "<td>": USER_DEFINED}
    keys = {**with_tokens(spm, whole), "add_space_prefix": False}
    found = load_tokenizer(made(tmp_path / "x", keys))
    assert cut(keys, found, "a\n\n\nb<td>") == ["a", "\n\n", "<0x0A>", "b", "<td>"]
    assert cut(keys, found, "a   b  ") == ["a", "   ", "b", "  "]
    theirs = AutoTokenizer.from_pretrained(tmp_path / "x")
    assert theirs("a   b  <td>\n\n").input_ids[1:] == found.encode("a   b  <td>\n\n")
    assert found.decode(found.encode("  가\n\n  <td>")) == "  가\n\n  <td>"


def test_contents_never_become_control_tokens(spm: dict[str, Any], tmp_path: Path) -> None:
    keys = with_tokens(spm, {"<|im_start|>": CONTROL, "<|im_end|>": CONTROL})
    folder = made(tmp_path / "x", keys, tokenizer__chat_template=CHATML)
    found = ModelFolder.read(folder)
    assert found.tokenizer.special.keys() == {"<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"}
    assert not {384, 385} & set(found.tokenizer.encode("a<|im_end|><s>"))
    assert (found.template, found.stop_ids) == ("own", (2, 385))
    turns: list[Message] = [
        {"role": "user", "content": "<|im_end|>"},
        {"role": "assistant", "content": "<|im_start|>"},
    ]
    encoded = found.encoder().encode(turns).ids
    assert [i for i in encoded if i >= 384] == [384, 385, 384, 385]


def test_stops_by_number_and_by_name(bpe: dict[str, Any], tmp_path: Path) -> None:
    tokens = {"<|eot_id|>": CONTROL, "<|eom_id|>": CONTROL, "<end>": CONTROL, "<|end|>": NORMAL}
    keys = with_tokens(bpe, tokens)
    first = len(bpe["tokens"])
    folder = ModelFolder.read(made(tmp_path / "x", {**keys, "eot_token_id": first + 2}))
    assert folder.stop_ids == (bpe["eos_token_id"], first, first + 1, first + 2)


@pytest.mark.parametrize(
    ("pre", "parts"),
    [
        ("gpt-2", ["a", " ", "2024", "5", "'", "L", "L"]),
        ("smollm", ["a", " ", "2", "0", "2", "4", "5", "'", "L", "L"]),
        ("llama-bpe", ["a", " ", "202", "4", "5", "'", "L", "L"]),
        ("qwen2", ["a", " ", "2", "0", "2", "4", "5", "'", "L", "L"]),
        ("tekken", ["a", " ", "2", "0", "2", "4", "5", "'", "L", "L"]),
        ("gpt-4o", ["a", " ", "202", "4", "5", "'", "L", "L"]),
    ],
)
def test_numbers_are_cut_as_the_file_says(
    bpe: dict[str, Any], tmp_path: Path, pre: str, parts: list[str]
) -> None:
    # 20 merges before 202, 202 before 2024; a space before a 2 merges last.
    found = load_tokenizer(made(tmp_path / "x", {**bpe, "pre": pre}))
    assert cut(bpe, found, "a 20245'LL") == parts


def test_llama_3_keeps_a_word_that_is_a_token_whole(bpe: dict[str, Any], tmp_path: Path) -> None:
    keys = with_tokens(bpe, {"zebra": NORMAL})  # no merge makes it
    whole = load_tokenizer(made(tmp_path / "a", keys))
    other = load_tokenizer(made(tmp_path / "b", {**keys, "pre": "smaug-bpe"}))
    assert cut(keys, whole, "zebra") == ["zebra"]
    assert len(other.encode("zebra")) > 1


def test_qwens_own_tokenizer_composes(bpe: dict[str, Any], tmp_path: Path) -> None:
    qwen = load_tokenizer(made(tmp_path / "a", {**bpe, "pre": "qwen2"}))
    llama = load_tokenizer(made(tmp_path / "b", bpe))
    composed, parts = "한", "\u1112\u1161\u11ab"
    assert qwen.encode(parts) == qwen.encode(composed) == llama.encode(composed)
    assert llama.decode(llama.encode(parts)) == parts


def test_pieces_that_share_a_score_are_refused(spm: dict[str, Any], tmp_path: Path) -> None:
    """SentencePiece and llama.cpp merge the leftmost of equals, which transformers cannot."""
    syllables = dict.fromkeys("학교에서도하고자동차비행기사람들처럼보다까지부터만의", NORMAL)
    pairs = dict.fromkeys(["교에", "학교", "에서", "서도"], NORMAL)
    keys = with_tokens(spm, {**syllables, **pairs}, score=0.0)
    said = r"\d+ of 2000 lines have other ids in transformers than by the file's own rules, first '"
    with pytest.raises(BadData, match=said):
        made(tmp_path / "x", keys)
    apart = [-0.001 * i for i in range(len(syllables) + len(pairs))]
    keys["scores"][-len(apart) :] = apart
    assert load_tokenizer(made(tmp_path / "y", keys)).encode("학교에서")


def test_what_cannot_be_read_is_one_sentence(
    spm: dict[str, Any], bpe: dict[str, Any], tmp_path: Path
) -> None:
    short = {**spm, "tokens": spm["tokens"][:-1], "scores": spm["scores"][:-1]}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**spm, "model": "bert"}, "a tokenizer of the kind 'bert'; of GGUF files llama"),
        ({**spm, "model": None}, "a tokenizer of the kind 'none'"),
        ({**bpe, "pre": "default"}, "cuts texts as 'default' before it merges, which is not read"),
        ({**bpe, "pre": None}, "cuts texts as None"),
        ({**bpe, "eos_token_id": None}, r"names no token that ends a text \(eos_token_id\)"),
        ({**bpe, "merges": ["q zzz"]}, "its merges do not fit its tokens"),
        ({**short, "token_type": spm["token_type"][:9]}, "has 383 tokens, but 9 kinds"),
        ({**spm, "token_type": [1] * 384}, "has 0 tokens for single bytes, expected 256"),
        ({**spm, "tokens": ["a", *spm["tokens"][1:]]}, "has 1 tokens twice"),
    ]
    for keys, said in wrong:
        with pytest.raises(BadData, match=said):
            made(tmp_path / "x", keys)
        shutil.rmtree(tmp_path / "x")


def test_an_ordinary_token_that_is_called_bos_stays_ordinary(
    bpe: dict[str, Any], tmp_path: Path
) -> None:
    keys = {**bpe, "pre": "smollm", "bos_token_id": 1, "padding_token_id": 2}
    found = ModelFolder.read(made(tmp_path / "x", keys))
    assert found.plain_tokenizer.bos_token is None
    text = "".join(bpe["tokens"][i] for i in (1, 2, 1))
    assert found.tokenizer.encode(text) == found.plain_tokenizer(text).input_ids == [1, 2, 1]


def test_merging_of_letters_is_that_of_bytes() -> None:
    letters = {("a", "b"): 0, ("ab", "ab"): 1}
    as_bytes = {(a.encode(), b.encode()): rank for (a, b), rank in letters.items()}
    assert merge_bytes("xababab", letters) == ["x", "abab", "ab"]
    assert merge_bytes(b"xababab", as_bytes) == [b"x", b"abab", b"ab"]


def test_llama_2s_vocabulary_gives_the_ids_of_llama_cpps_own_tests(
    real_data: Path, tmp_path: Path
) -> None:
    place = real_data / "tokenizers" / "ggerganov__llama.cpp"
    if not place.is_dir():
        pytest.skip("no vocabulary of llama.cpp among the data")
    (file,) = place.glob("*spm.gguf")
    write_tokenizer(Gguf(file), tmp_path)
    found = load_tokenizer(tmp_path)
    texts = Path(f"{file}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    ids = Path(f"{file}.out").read_text(encoding="utf-8").split("\n")
    pairs = [(t, [int(i) for i in line.split()]) for t, line in zip(texts, ids, strict=False)]
    assert len(pairs) > 40
    assert [text for text, wanted in pairs if found.encode(text) != wanted] == []
