import json
import shutil
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st

from kollama2.errors import BadData
from kollama2.model.tokenizer import Tokenizer, check_matches, load_tokenizer

# The mark of a space is one to SentencePiece, and transformers puts no other before it.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ue000▁"), max_size=40)


@pytest.fixture(scope="module")
def pieces(tiny_tokenizer: Path) -> Tokenizer:
    return load_tokenizer(tiny_tokenizer)


@pytest.fixture(scope="module")
def fast_folder(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokenizer as transformers writes it: tokenizer.json alone."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("fast")
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fast(fast_folder: Path) -> Tokenizer:
    return load_tokenizer(fast_folder)


def test_what_a_llama_tokenizer_is(pieces: Tokenizer, fast: Tokenizer):
    for one, source in ((pieces, "tokenizer.model"), (fast, "tokenizer.json")):
        assert (one.bos_id, one.eos_id, one.vocab_size) == (1, 2, 384)
        assert one.special == {"<unk>": 0, "<s>": 1, "</s>": 2}
        assert one.source == source
        assert one.dummy_prefix


@given(TEXTS)
@example(" x")
@example("  x ")
@example("</s><s>[INST] <unk>")
@example("한국어 3개\n\n끝")
def test_content_is_sentencepiece_and_comes_back(
    pieces: Tokenizer, fast: Tokenizer, tiny_tokenizer: Path, text: str
):
    reference = sentencepiece.SentencePieceProcessor(
        model_file=str(tiny_tokenizer / "tokenizer.model")
    )
    ids = pieces.encode(text)
    assert ids == reference.encode(text)
    assert fast.encode(text) == ids
    assert not {0, 1, 2} & set(ids)
    assert pieces.decode(ids) == text
    assert fast.decode(ids) == text


@given(TEXTS, TEXTS.filter(bool))
def test_continuing_text_has_no_dummy_prefix(
    pieces: Tokenizer, fast: Tokenizer, text: str, after: str
):
    for one in (pieces, fast):
        start, rest = one.encode_batch([text, after], [False, True])
        if text:
            assert one.decode([*start, *rest]) == text + after


def test_both_files_agree_or_the_reason_is_said(
    tiny_tokenizer: Path, fast_folder: Path, tmp_path: Path
):
    folder = tmp_path / "both"
    shutil.copytree(fast_folder, folder)
    shutil.copy(tiny_tokenizer / "tokenizer.model", folder)
    assert load_tokenizer(folder).source == "tokenizer.model"
    other = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    other["model"]["merges"] = other["model"]["merges"][:10]
    (folder / "tokenizer.json").write_text(json.dumps(other), encoding="utf-8")
    assert load_tokenizer(folder).source.startswith("tokenizer.json (tokenizer.model gives other")


def test_a_user_defined_control_token_never_comes_from_content(tmp_path: Path):
    from tests.tiny import ENGLISH

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH * 20),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=384,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<|end|>", "<pad>"],
        minloglevel=2,
    )
    special = {"3": "<|end|>", "4": "<pad>"}
    config = {
        "eos_token": {"content": "<|end|>"},
        "pad_token": "<pad>",
        "added_tokens_decoder": {i: {"content": c, "special": True} for i, c in special.items()},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    one = load_tokenizer(tmp_path)
    assert one.eos_id == 3
    for text in ("a<|end|>b", "<|end|><|end|>", "<pad><|end|", "<<|end|>|end|>"):
        ids = one.encode(text)
        assert not {0, 1, 2, 3, 4} & set(ids)
        assert one.decode(ids) == text
        assert one.decode(one.encode_batch(["x", text], [False, True])[1]) == text


def test_added_special_tokens_of_a_json_tokenizer(fast_folder: Path, tmp_path: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(fast_folder)
    tokenizer.add_special_tokens({"pad_token": "<pad>", "eos_token": "<|im_end|>"})
    tokenizer.save_pretrained(tmp_path)
    one = load_tokenizer(tmp_path)
    assert one.vocab_size == 386
    assert {one.eos_id, one.special["<pad>"]} == {384, 385}
    ids = one.encode("a<|im_end|><pad>b")
    assert max(ids) < 384
    assert one.decode(ids) == "a<|im_end|><pad>b"


def byte_level(folder: Path) -> Tokenizer:
    """A byte-level BPE without dummy prefix, unk and BOS, as GPT-2 and Llama 3 have it."""
    from tokenizers import Tokenizer as Fast
    from tokenizers import decoders, models, pre_tokenizers, trainers

    from tests.tiny import ENGLISH, KOREAN

    fast = Fast(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|reserved_0|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator((ENGLISH + KOREAN) * 9, trainer)
    fast.save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder)


@given(TEXTS, TEXTS)
@example("a<|endoftext|>", "<|reserved_0|>")
def test_a_byte_level_tokenizer(bytes_only: Tokenizer, text: str, after: str):
    one = bytes_only
    assert (one.bos_id, one.eos_id, one.dummy_prefix) == (None, 0, False)
    start, rest = one.encode_batch([text, after], [False, True])
    assert start == one.encode(text)
    assert not {0, 1} & {*start, *rest}
    assert one.decode(start) + one.decode(rest) == text + after


@pytest.fixture(scope="module")
def bytes_only(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return byte_level(tmp_path_factory.mktemp("bytes"))


def test_folders_without_a_tokenizer(tmp_path: Path):
    with pytest.raises(BadData, match=r"neither tokenizer\.model nor tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadData, match="has no model"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_text("IQ== 0\n", encoding="utf-8")
    with pytest.raises(BadData, match="not a SentencePiece model"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("rows", [383, 512, 32_000])
def test_a_tokenizer_of_another_model(pieces: Tokenizer, rows: int):
    with pytest.raises(BadData, match=f"has 384 tokens but the model has {rows} embedding rows"):
        check_matches(pieces, rows)


def test_padded_embeddings_are_fine(pieces: Tokenizer):
    check_matches(pieces, 384)
    check_matches(pieces, 448)


def test_llama_2_ids(real_data: Path):
    # The ids of Meta's reference tokenizer (research of meta-llama/llama, items 14 and 23).
    one = load_tokenizer(real_data / "tokenizers" / "karpathy__llama2.c")
    assert one.vocab_size == 32_000
    assert one.encode("<s>") == [529, 29879, 29958]
    assert one.encode("") == []
    assert len(one.encode("한국어")) == 4
