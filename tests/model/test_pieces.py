import json
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kollama2.data.forms import Example
from kollama2.data.read import read
from kollama2.errors import BadData
from kollama2.model.chat import TextEncoder
from kollama2.model.jinja import jinja_template
from kollama2.model.pieces import write_fast
from kollama2.model.tokenizer import load_tokenizer


def spaced(source: Path, folder: Path) -> Path:
    """A copy of a tokenizer with pieces of white space that have low ids and the lowest score."""
    from sentencepiece import sentencepiece_model_pb2

    shutil.copytree(source, folder, dirs_exist_ok=True)
    path = folder / "tokenizer.model"
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(path.read_bytes())
    for piece in ("▁▁▁▁", "▁▁"):
        proto.pieces.insert(259, proto.SentencePiece(piece=piece, score=-1e9))
    path.write_bytes(proto.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def both(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """SentencePiece, and transformers on the written file."""
    from transformers import AutoTokenizer

    folder = spaced(tiny_tokenizer, tmp_path_factory.mktemp("spaced"))
    write_fast(folder)
    pieces = load_tokenizer(folder)
    assert pieces.source == "tokenizer.model"
    (folder / "tokenizer.model").unlink()
    return pieces, AutoTokenizer.from_pretrained(folder)


TEXT = st.text("abc  \n가." + "Thefoxlivs", min_size=1).filter(lambda text: text[0] != " ")


@given(TEXT)
@example("if:\n        The fox  lives")
def test_transformers_gives_the_ids_of_sentencepiece(both: tuple[Any, Any], text: str):
    pieces, theirs = both
    ids = pieces.encode(text)
    assert theirs(text, add_special_tokens=False)["input_ids"] == ids
    assert theirs.decode(ids) == text


def test_models_that_cannot_be_written(tmp_path: Path, tiny_tokenizer: Path):
    from sentencepiece import sentencepiece_model_pb2

    with pytest.raises(BadData, match=r"holds no tokenizer\.model"):
        write_fast(tmp_path)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((tiny_tokenizer / "tokenizer.model").read_bytes())
    proto.normalizer_spec.remove_extra_whitespaces = True
    (tmp_path / "tokenizer.model").write_bytes(proto.SerializeToString())
    with pytest.raises(BadData, match="changes texts"):
        write_fast(tmp_path)
    proto.trainer_spec.model_type = proto.trainer_spec.UNIGRAM
    (tmp_path / "tokenizer.model").write_bytes(proto.SerializeToString())
    with pytest.raises(BadData, match="not a BPE model"):
        write_fast(tmp_path)


def test_real_chats_with_code_through_transformers(real_data: Path, tmp_path: Path):
    from transformers import AutoTokenizer

    shutil.copy(real_data / "tokenizers/karpathy__llama2.c/tokenizer.model", tmp_path)
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    write_fast(tmp_path)
    encoder = TextEncoder(load_tokenizer(tmp_path), "llama2")
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    file = real_data / "instruct_en/hiyouga__LLaMA-Factory/dpo_en_demo.json"
    chats = islice((one for one in read(file) if isinstance(one, Example)), 100)
    for chat in chats:
        found = theirs.apply_chat_template(
            list(chat.messages),
            chat_template=jinja_template("llama2"),
            tokenize=True,
            return_dict=False,
        )
        assert found == encoder.encode(chat.messages).ids
