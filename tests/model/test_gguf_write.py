"""GGUF files out: every family and tokenizer read back as it was, or one clear sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf

from kollama2.errors import BadData
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import to_hugging_face
from kollama2.model.gguf.describe import keys_of
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.prove import fill, prove
from kollama2.model.gguf.write import write_gguf
from kollama2.model.load import whole
from tests import chat_folders, tiny
from tests.model.test_gguf import FAMILIES, LLAMA3, QUICK, SMALL
from tests.train.test_onto import grown_base
from tests.vocab.corpus import byte_level, small_ranks

WRITTEN = [
    pytest.param(one, marks=() if one in QUICK else pytest.mark.slow)
    for one in sorted(FAMILIES.keys() - {"phi3", "exaone4"})
]


def write(folder: Path, path: Path, kind: str = "F32") -> ModelFolder:
    model = ModelFolder.read(folder)
    write_gguf(model, path, kind, {"name": "tiny", "languages": ["ko", "en"]})
    return model


@pytest.mark.parametrize("name", WRITTEN)
def test_every_family_computes_as_before(name: str, tmp_path: Path) -> None:
    before, path = tmp_path / "before", tmp_path / "model.gguf"
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(FAMILIES[name][1]()).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.2)
    model.save_pretrained(before)
    if name == "qwen2":  # whose folders transformers reads as byte-level, whatever they hold
        byte_level(before, small_ranks())
    else:
        tiny.write_tokenizer(before)
    folder = write(before, path)
    found = prove(path, folder, "F32")
    assert found.lines > 1900 or name == "qwen2"
    to_hugging_face(path, tmp_path / "after")
    ids = torch.randint(5, 384, (1, 100), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        read = whole(tmp_path / "after", "float32")(ids).logits
        filled = whole(before, "float32")
        for weight in filled.parameters():
            weight.zero_()
        fill(filled, path)
        logits = model(ids).logits
        # The norms of Gemma lose a bit where one is added to them and taken away.
        near = {"atol": 1e-4 if "gemma" in name else 0, "rtol": 0}
        torch.testing.assert_close(read, logits, **near)
        torch.testing.assert_close(filled(ids).logits, logits, **near)


@pytest.mark.parametrize(
    ("kind", "kinds", "exact"),
    [
        ("F32", {"F32": 16}, True),
        ("F16", {"F16": 16}, False),
        ("BF16", {"BF16": 16}, False),
        ("Q8_0", {"Q8_0": 16}, False),
        ("Q4_0", {"Q4_0": 14, "Q8_0": 2}, False),
    ],
)
def test_numbers_are_as_near_as_their_type(
    kind: str, kinds: dict[str, int], exact: bool, tiny_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    folder = write(tiny_model, path, kind)
    found = prove(path, folder, kind)
    assert (found.tensors, found.exact, found.chats) == (21, exact, "")
    file = Gguf(path)
    assert file.kinds() == kinds
    assert file.metadata["general.languages"] == ["ko", "en"]
    assert file.metadata["tokenizer.ggml.add_bos_token"] is True


def test_one_changed_number_is_found(tiny_model: Path, tmp_path: Path) -> None:
    for kind, name in (("F32", "blk.1.attn_q.weight"), ("Q8_0", "blk.0.ffn_up.weight")):
        path = tmp_path / f"{kind}.gguf"
        folder = write(tiny_model, path, kind)
        content = bytearray(path.read_bytes())
        content[Gguf(path).tensors[name].start + 1] ^= 0x40
        path.write_bytes(content)
        with pytest.raises(BadData, match=rf"{name} is not stored as {kind} should store it"):
            prove(path, folder, kind)


def test_a_vocabulary_that_grew_keeps_its_ids(tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=True)
    path = tmp_path / "grown.gguf"
    folder = write(larger, path)
    assert prove(path, folder, "F32").exact
    file = Gguf(path)
    tokens, kinds = (file.metadata[f"tokenizer.ggml.{one}"] for one in ("tokens", "token_type"))
    assert (len(tokens), tokens[-1], kinds[-1]) == (448, "[PAD447]", 5)
    assert "output.weight" not in file.tensors


def test_a_folder_without_its_pieces_has_scores(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "tiny")
    from kollama2.model.pieces import write_fast

    write_fast(folder, 1)
    (folder / "tokenizer.model").unlink()
    settings = folder / "tokenizer_config.json"
    tree = json.loads(settings.read_text())
    settings.write_text(json.dumps({**tree, "tokenizer_class": "PreTrainedTokenizerFast"}))
    path = tmp_path / "tiny.gguf"
    assert prove(path, write(folder, path), "F32").lines > 1900
    assert len(set(Gguf(path).metadata["tokenizer.ggml.scores"])) == 94


def test_bytes_that_merge_get_the_name_of_their_cut(tmp_path: Path) -> None:
    gpt2 = chat_folders.write_folder(tmp_path / "gpt2", "qwen2")
    assert prove(tmp_path / "a.gguf", write(gpt2, tmp_path / "a.gguf"), "F32").chats == ""
    said = Gguf(tmp_path / "a.gguf").metadata
    assert (said["tokenizer.ggml.pre"], said["tokenizer.ggml.add_bos_token"]) == ("qwen2", False)
    assert said["tokenizer.chat_template"] == chat_folders.CHATML
    llama3 = tmp_path / "llama3"
    rows = 2 + len(small_ranks())
    config = tf.LlamaConfig(**{**SMALL, "vocab_size": rows}, rope_parameters=LLAMA3)
    tf.LlamaForCausalLM(config).save_pretrained(llama3)
    byte_level(llama3, small_ranks())
    prove(tmp_path / "b.gguf", write(llama3, tmp_path / "b.gguf"), "F32")
    assert Gguf(tmp_path / "b.gguf").metadata["tokenizer.ggml.pre"] == "llama-bpe"
    tree = json.loads((llama3 / "tokenizer.json").read_text(encoding="utf-8"))
    tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}{1,2}|[^\p{L}]+"
    (llama3 / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(BadData, match="cuts texts in a way of its own"):
        write(llama3, tmp_path / "c.gguf")


def test_what_has_no_form_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny.write_tokenizer(folder)
    windowed = tf.MistralConfig(**{**SMALL, "num_hidden_layers": 1}, sliding_window=16)
    tf.MistralForCausalLM(windowed).save_pretrained(folder)
    with pytest.raises(BadData, match="looks through a window of 16 positions"):
        write(folder, tmp_path / "x.gguf")
    tf.OPTForCausalLM(
        tf.OPTConfig(
            vocab_size=384,
            hidden_size=64,
            ffn_dim=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            word_embed_proj_dim=64,
        )
    ).save_pretrained(folder)
    with pytest.raises(BadData, match="a opt model is not written as GGUF"):
        write(folder, tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (tf.Gemma2Config, "attn_logit_softcapping"),
        (tf.Gemma2Config, "final_logit_softcapping"),
        (tf.Gemma2Config, "sliding_window"),
        (tf.Gemma3TextConfig, "sliding_window"),
    ],
)
def test_what_llama_cpp_takes_for_granted_must_be_there(kind: Any, name: str) -> None:
    config = kind()
    keys_of(config)
    setattr(config, name, None)
    with pytest.raises(BadData, match=f"the model has no {name}, which llama.cpp takes for gr"):
        keys_of(config)


def test_numbers_beyond_float16_are_told(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "tiny")
    model = tf.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[3, 3] = 1e6
    model.save_pretrained(folder)
    with pytest.raises(BadData, match=r"output\.weight holds numbers that F16 cannot"):
        write(folder, tmp_path / "x.gguf", "F16")
