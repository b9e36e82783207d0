"""An expansion leaves what somebody added to a tokenizer where it is, wherever that is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from kollama2.errors import BadData
from kollama2.model.added import added_tokens
from kollama2.model.card import Card
from kollama2.model.folder import ModelFolder
from kollama2.model.pieces import CONTROL, processor, read_pieces, write_fast
from kollama2.model.tokenizer import load_tokenizer
from kollama2.vocab.changes import changes
from kollama2.vocab.expand import expand
from kollama2.vocab.settings import VocabSettings
from tests import tiny

ADDED = {"<|im_end|>": 384, "<|im_start|>": 385}
SETTINGS = VocabSettings(size=40, syllables=False)
CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)
CHAT = [
    {"role": "user", "content": f"{tiny.KOREAN[0]} <|im_end|>"},
    {"role": "assistant", "content": "  The fox lives in 각각의 town.\n여우가"},
]
FORMS = ["decoder", "list", "both files", "saved by transformers"]


def chatml(folder: Path, form: str) -> Path:
    """A tokenizer of Llama 2's kind with two control tokens behind it, in one of several forms."""
    tiny.write_tokenizer(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= {"eos_token": "<|im_end|>", "chat_template": CHATML}
    if form == "list":
        (folder / "added_tokens.json").write_text(json.dumps(ADDED), encoding="utf-8")
        settings["additional_special_tokens"] = ["<|im_start|>"]
    else:
        flags = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
        settings["added_tokens_decoder"] = {
            str(i): {"content": name, **flags, "special": True} for name, i in ADDED.items()
        }
    path.write_text(json.dumps(settings), encoding="utf-8")
    if form == "both files":
        write_fast(folder, bos=1)
    if form == "saved by transformers":
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        assert (folder / "tokenizer.json").is_file()
        (folder / "tokenizer.model").unlink()
    return folder


@pytest.fixture(scope="module", params=FORMS)
def grown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("chatml")
    old, new = chatml(folder / "old", request.param), folder / "new"
    new.mkdir()
    return old, new, expand(old, new, [*tiny.KOREAN * 5, "각각의 각각의"], SETTINGS)


def test_new_pieces_come_behind_added_tokens(grown: tuple[Path, Path, dict[str, Any]]) -> None:
    _, new, found = grown
    assert (found["first"], found["size"]) == (386, 448)
    assert found["audit"]["faults"] == ()
    assert {name: one.id for name, one in added_tokens(new).items()}.items() >= ADDED.items()
    model = processor(read_pieces(new))
    plain = AutoTokenizer.from_pretrained(new)
    own = load_tokenizer(new)
    for name, i in ADDED.items():
        assert model.id_to_piece(i) == plain.convert_ids_to_tokens(i) == name
        assert plain.convert_tokens_to_ids(name) == own.special[name] == i
        assert plain.decode([i]) == name
    assert own.eos_id == plain.eos_token_id == 384
    assert own.vocab_size == len(plain) == 448


def test_texts_have_the_same_ids_for_all_and_come_back(
    grown: tuple[Path, Path, dict[str, Any]],
) -> None:
    old, new, _ = grown
    model, own = processor(read_pieces(new)), load_tokenizer(new)
    plain = AutoTokenizer.from_pretrained(new)
    for text in ["각각의 사람", *tiny.KOREAN, *tiny.ENGLISH, "a\n\n  b"]:
        ids = own.encode(text)
        assert ids == model.encode(text) == plain(text).input_ids[1:]
        assert own.decode(ids) == model.decode(ids) == text
        assert not set(ids) & set(ADDED.values())
    # A text says the name of a control token and does not become one.
    text = "각각의 <|im_end|>"
    assert own.encode(text) == model.encode(text)
    assert own.decode(own.encode(text)) == text
    assert load_tokenizer(old).encode(tiny.ENGLISH[0]) == own.encode(tiny.ENGLISH[0])


def test_chats_have_the_ids_of_transformers(grown: tuple[Path, Path, dict[str, Any]]) -> None:
    _, new, _ = grown
    chat = [{**CHAT[0], "content": tiny.KOREAN[0]}, CHAT[1]]
    ids = ModelFolder(new, Card()).encoder().encode(chat).ids  # type: ignore[arg-type]
    assert ids == AutoTokenizer.from_pretrained(new).apply_chat_template(chat, return_dict=False)
    assert [i for i in ids if i in ADDED.values()] == [385, 384, 385, 384]
    forged = ModelFolder(new, Card()).encoder().encode(CHAT).ids  # type: ignore[arg-type]
    assert [i for i in forged if i in ADDED.values()] == [385, 384, 385, 384]


def test_an_ordinary_token_keeps_its_id_and_is_looked_for_where_it_was(tmp_path: Path) -> None:
    old, new = tiny.write_tokenizer(tmp_path / "old"), tmp_path / "new"
    new.mkdir()
    path = old / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # There is no token 385.
    tokens = {"384": ("<image>", False), "386": ("[PAD]", True)}
    settings["added_tokens_decoder"] = {
        i: {"content": name, "special": special, "normalized": False}
        for i, (name, special) in tokens.items()
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    found = expand(old, new, tiny.KOREAN * 5, SETTINGS)
    assert found["first"] == 387
    pieces = read_pieces(new).pieces
    assert [(one.piece, one.type) for one in pieces[384:387:2]] == [
        ("<image>", CONTROL), ("[PAD]", CONTROL),
    ]  # fmt: skip
    before, after = (AutoTokenizer.from_pretrained(one) for one in (old, new))
    text = "The fox <image> lives"
    assert before(text).input_ids == after(text).input_ids
    assert 384 in after(text).input_ids
    assert after.decode([384]) == "<image>"
    assert 384 not in load_tokenizer(new).encode(text)
    added = json.loads((new / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    assert {one["content"]: one["special"] for one in added}["<image>"] is False


def test_an_audit_sees_a_token_that_moved(tmp_path: Path) -> None:
    old, new = chatml(tmp_path / "old", "decoder"), chatml(tmp_path / "new", "decoder")
    assert list(changes(old, new, tiny.ENGLISH, tiny.KOREAN)) == []
    path = new / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    moved = settings["added_tokens_decoder"]
    moved["384"], moved["385"] = moved["385"], moved["384"]
    path.write_text(json.dumps(settings), encoding="utf-8")
    found = list(changes(old, new, tiny.ENGLISH, tiny.KOREAN))
    assert found[0] == "the added token '<|im_end|>' has id 385, not 384"
    assert found[-1] == "the chat template gives other ids than before"


def test_an_audit_sees_a_syllable_that_is_lost(tmp_path: Path) -> None:
    old = chatml(tmp_path / "old", "decoder")
    new = chatml(tmp_path / "new", "decoder")
    proto = read_pieces(new)
    proto.pieces.add(piece="여", score=-1e6, type=1)  # in the place of <|im_end|>
    (new / "tokenizer.model").write_bytes(proto.SerializeToString())
    found = list(changes(old, new, tiny.ENGLISH, tiny.KOREAN))
    assert any("kollama2 decodes 1 of 3 lines otherwise than before" in one for one in found)


def test_a_tokenizer_that_names_no_unknown_token_is_refused(tmp_path: Path) -> None:
    folder, out = chatml(tmp_path / "old", "saved by transformers"), tmp_path / "new"
    out.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text(encoding="utf-8").replace("<unk>", "<what>")
        (folder / name).write_text(text.replace('"unk_token"', '"other"'), encoding="utf-8")
    with pytest.raises(BadData, match="names no unk_token"):
        expand(folder, out, tiny.KOREAN * 5, SETTINGS)
