"""A pruned tokenizer: texts of the kept scripts as before, those of others in smaller pieces."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.card import Card
from kollama2.model.folder import ModelFolder
from kollama2.model.pieces import BYTE, read_pieces, write_fast, write_pieces
from kollama2.model.tokenizer import load_tokenizer
from kollama2.vocab.expand import expand
from kollama2.vocab.prune import prune
from kollama2.vocab.runtimes import runtimes
from kollama2.vocab.scripts import Alphabet
from kollama2.vocab.settings import PruneSettings, VocabSettings
from tests import tiny
from tests.vocab.corpus import byte_level, llama3_ranks
from tests.vocab.test_added import CHATML

OTHERS = [
    "Лиса живёт в старом городе.",
    "狐狸住在老城里。",
    "きつねは古い町にすんでいます。",
    "η αλεπού ζει",
]
LINES = [*tiny.ENGLISH, *tiny.KOREAN, *OTHERS] * 5
KEEP = PruneSettings(keep=("ko", "en"))
FORMS = ["tokenizer.model", "both files", "saved by transformers", "byte-level"]
CHAT = [{"role": "user", "content": tiny.KOREAN[0]}, {"role": "assistant", "content": "네 OK"}]


def config(folder: Path, **ids: Any) -> None:
    """Configurations of a model with padding rows, which name ids."""
    one = {
        "vocab_size": 2000,
        "pad_token_id": -1,
        **ids,
        "rope": {"eos_token_id": ids["bos_token_id"]},
    }
    (folder / "config.json").write_text(
        json.dumps({"model_type": "llama", **one}), encoding="utf-8"
    )
    generation = {"eos_token_id": [ids["eos_token_id"]], "max_length": 7}
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")


def many_scripts(folder: Path, form: str) -> Path:
    """A tokenizer of English, Korean and four other scripts, with ChatML's tokens."""
    folder.mkdir(parents=True)
    if form == "byte-level":
        return many_bytes(folder)
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_prefix=str(folder / "tokenizer"), model_type="bpe",
        vocab_size=700, byte_fallback=True, character_coverage=1.0, unk_id=0, bos_id=1, eos_id=2,
        normalization_rule_name="identity", remove_extra_whitespaces=False, pad_id=-1,
        minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.vocab").unlink()
    added = {700: "<|im_end|>", 701: "<|im_start|>"}
    write_settings(folder, "LlamaTokenizer", "<s>", added, unk_token="<unk>", add_bos_token=True)
    config(folder, bos_token_id=1, eos_token_id=700)
    if form == "both files":
        write_fast(folder, bos=1)
    if form == "saved by transformers":
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        (folder / "tokenizer.model").unlink()
    return folder


def many_bytes(folder: Path) -> Path:
    """The same of bytes, as Qwen's, with BOS."""
    fast = Tokenizer(models.BPE())
    fast.normalizer = normalizers.NFC()
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast.train_from_iterator(
        LINES, BpeTrainer(vocab_size=640, initial_alphabet=alphabet, show_progress=False)
    )
    names = ["<|begin|>", "<|im_end|>", "<|im_start|>"]
    fast.add_special_tokens(names)
    ids = {fast.token_to_id(name): name for name in names}
    begin = ("<|begin|>", fast.token_to_id("<|begin|>"))
    fast.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[begin]),
        ]
    )
    fast.save(str(folder / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_text("{}", encoding="utf-8")
    write_settings(folder, "PreTrainedTokenizerFast", "<|begin|>", ids)
    config(folder, bos_token_id=begin[1], eos_token_id=fast.token_to_id("<|im_end|>"))
    return folder


def write_settings(folder: Path, kind: str, bos: str, added: dict[int, str], **more: Any) -> None:
    flags = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    tree = {
        "tokenizer_class": kind, "bos_token": bos, "eos_token": "<|im_end|>", **more,
        "chat_template": CHATML,
        "added_tokens_decoder": {
            str(i): {"content": name, **flags, "special": True} for i, name in added.items()
        },
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(tree), encoding="utf-8")


READ: dict[tuple[Path, Path], Any] = {}
Pruned = tuple[Path, Path, dict[str, Any], dict[int, int]]


@pytest.fixture(scope="module", params=FORMS)
def pruned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    """Old folder, new folder, what was said, and the new id of each old one."""
    folder = tmp_path_factory.mktemp("pruned")
    old, new = many_scripts(folder / "old", request.param), folder / "new"
    new.mkdir()
    found = prune(old, new, KEEP)
    READ[old, new] = [list(runtimes(one).encoders.items()) for one in (old, new)]
    kept = json.loads((new / "pruning.json").read_text(encoding="utf-8"))["kept"]
    return old, new, found, {before: after for after, before in enumerate(kept)}


def test_tokens_of_other_scripts_are_gone(pruned: Pruned) -> None:
    old, new, found, ids = pruned
    before, after = load_tokenizer(old), load_tokenizer(new)
    assert found["removed"] > 60
    assert after.vocab_size == found["size"] == len(ids)
    assert before.vocab_size - after.vocab_size == found["removed"]
    # Shorter spellings of other scripts are gone, those of Korean are not.
    spent = [[len(one.encode(text)) for one in (before, after)] for text in OTHERS]
    assert all(now > was for was, now in spent)
    for name in ("лис", "ив", "狐", "つね", "αλ"):
        assert name not in "".join(after.vocabulary())
    assert not (new / "vocab.json").exists() and not (new / "merges.txt").exists()


@given(
    st.text(st.sampled_from("가나다여우선생님사과를 abcTheoxé.,\n1½€🙂「ㅋ뷁\u0301\t"), max_size=30)
)
def test_texts_of_kept_scripts_have_the_tokens_they_had(pruned: Pruned, text: str) -> None:
    old, new, _, ids = pruned
    pairs = zip(*READ[old, new], strict=True)
    for (_, before), (_, after) in pairs:
        assert [ids[i] for i in before([text])[0]] == after([text])[0]


@given(st.text(st.sampled_from("лисаж狐狸住きつねηαλ한국 en.\n"), max_size=20))
def test_texts_of_other_scripts_come_back(pruned: Pruned, text: str) -> None:
    _, new, _, _ = pruned
    tokenizer = load_tokenizer(new)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_control_tokens_template_and_configurations_name_the_new_ids(pruned: Pruned) -> None:
    old, new, _, ids = pruned
    plain = AutoTokenizer.from_pretrained(new)
    for name, one in added_tokens(old).items():
        assert plain.convert_tokens_to_ids(name) == added_tokens(new)[name].id == ids[one.id]
        assert plain.decode([ids[one.id]]) == name
    before, after = (ModelFolder(one, Card()) for one in (old, new))
    chats = [one.encoder().encode(CHAT).ids for one in (before, after)]  # type: ignore[arg-type]
    assert [ids[i] for i in chats[0]] == chats[1]
    assert chats[1] == plain.apply_chat_template(CHAT, return_dict=False)
    text = tiny.KOREAN[1]
    assert plain(text).input_ids == [after.tokenizer.bos_id, *after.tokenizer.encode(text)]
    was, now = (one.config for one in (before, after))
    assert now["vocab_size"] == len(ids)
    assert now["pad_token_id"] == -1
    assert now["eos_token_id"] == ids[was["eos_token_id"]] == plain.eos_token_id
    assert now["rope"]["eos_token_id"] == now["bos_token_id"] == ids[was["bos_token_id"]]
    generation = json.loads((new / "generation_config.json").read_text(encoding="utf-8"))
    assert generation == {"eos_token_id": [now["eos_token_id"]], "max_length": 7}
    assert after.stop_ids == (now["eos_token_id"],)


def test_it_grows_after_it_was_pruned(pruned: Pruned, tmp_path: Path) -> None:
    _, new, pruning, _ = pruned
    grown = expand(
        new, tmp_path, ["각각의 들판에서 각각의"] * 9, VocabSettings(size=20, syllables=False)
    )
    assert grown["audit"]["faults"] == ()
    assert grown["first"] == pruning["size"]


def test_a_script_that_is_kept_stays(tmp_path: Path) -> None:
    old, new = many_scripts(tmp_path / "old", "tokenizer.model"), tmp_path / "new"
    new.mkdir()
    prune(old, new, PruneSettings(keep=("ko", "en", "ru")))
    names = {one.piece for one in read_pieces(new).pieces}
    assert "狐" not in names
    assert {"и", "т", "여"} <= names


def test_an_alphabet_by_hand() -> None:
    found = Alphabet(["ko", "en"])
    assert found.writes("Fox é 여우 ㅋ ᄒ 3½€ 🙂👨‍👩‍👧 「」ー µ\n")
    for other in "яαか々中アﾊกא":
        assert not found.writes(other)
    assert found.holds("여우 fox".encode()[1:-1])
    assert found.holds("여".encode()[1:2])
    assert not found.holds("я".encode())
    assert not found.holds(b"a" + "я".encode()[:1])
    assert not found.holds(b"\xff\xfe")


@given(st.text(st.sampled_from("여ㅋé🙂a「 \u200d€"), min_size=1, max_size=5), st.data())
def test_any_part_of_a_text_can_stand_in_it(text: str, data: st.DataObject) -> None:
    code = text.encode()
    begin = data.draw(st.integers(0, len(code) - 1))
    end = data.draw(st.integers(begin + 1, len(code)))
    assert ALPHABET.holds(code[begin:end])


ALPHABET = Alphabet(["ko", "en"])


def test_what_cannot_be_pruned(tmp_path: Path) -> None:
    folder = tiny.write_tokenizer(tmp_path / "old")
    proto = read_pieces(folder)
    pieces = [one for one in proto.pieces if one.type != BYTE]
    bare = [type(one).FromString(one.SerializeToString()) for one in pieces]
    del proto.pieces[:]
    proto.pieces.extend(bare)
    proto.trainer_spec.byte_fallback = False
    write_pieces(proto, folder)
    with pytest.raises(BadData, match="has no pieces for bytes"):
        prune(folder, tmp_path, KEEP)
    with pytest.raises(ValidationError, match="'ko'"):
        PruneSettings.model_validate({"keep": ["korean"]})
    with pytest.raises(ValidationError, match="at least 1"):
        PruneSettings.model_validate({"keep": []})


@pytest.mark.slow
def test_llama_3_keeps_korean_and_english(real_data: Path, tmp_path: Path) -> None:
    ranks = llama3_ranks(real_data / "tokenizers/meta-llama__llama-models/tokenizer.model")
    folder, out = byte_level(tmp_path / "llama3", ranks), tmp_path / "out"
    out.mkdir()
    found = prune(folder, out, KEEP)
    assert (found["size"], found["removed"]) == (107_849, 20_153)
    news = real_data / "parallel/jungyeul__korean-parallel-corpora/korean-english-park.dev.ko"
    lines = news.read_text(encoding="utf-8").splitlines()
    kept = json.loads((out / "pruning.json").read_text(encoding="utf-8"))["kept"]
    new = {before: after for after, before in enumerate(kept)}
    same = [line for line in lines if ALPHABET.writes(line)]
    assert len(same) > 0.95 * len(lines)
    before, after = (load_tokenizer(one).encode_batch(same) for one in (folder, out))
    assert [[new[i] for i in ids] for ids in before] == after
