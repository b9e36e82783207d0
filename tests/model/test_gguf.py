"""GGUF files as model folders: the same weights, configuration and ids, or one clear sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file

from kollama2.errors import BadData, Corrupt, TryLater
from kollama2.model import kept
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import as_folder, cached, to_hugging_face
from kollama2.model.gguf.file import Gguf, is_gguf
from kollama2.model.load import whole
from tests import tiny
from tests.model import gguf_files as files
from tests.model.gguf_files import Kind
from tests.vocab.corpus import byte_level, small_ranks


def changed(path: Path, tiny_model: Path, **keys: Any) -> Path:
    """The tiny model as a file whose architecture says something else; None leaves a key out."""
    said = {k: v for k, v in {**files.LLAMA, **keys}.items() if v is not None}
    tensors = files.tensors_of(tiny_model, "llama", heads=(4, 4))
    return files.write(path, "llama", said, files.sentencepiece_keys(tiny_model), tensors)


def test_a_file_of_float32_is_the_model_that_it_was_made_of(
    tiny_model: Path, tmp_path: Path
) -> None:
    file = files.tiny_llama(tmp_path / "tiny.gguf", tiny_model)
    found = to_hugging_face(file, tmp_path / "out")
    assert found == {"parameters": 131_392, "dtype": "float32", "types": {"F32": 16}}
    before, after = (load_file(f / "model.safetensors") for f in (tiny_model, tmp_path / "out"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    ids = torch.tensor([[1, 300, 301, 302, 303]])
    first, second = (whole(f, "float32")(ids).logits for f in (tiny_model, tmp_path / "out"))
    assert torch.equal(first, second)
    old, new = (ModelFolder.read(f) for f in (tiny_model, tmp_path / "out"))
    for text in [*tiny.ENGLISH, *tiny.KOREAN, "  two\n\n spaces", "<s></s> 뷁"]:
        assert new.tokenizer.encode(text) == old.tokenizer.encode(text)
    assert (new.tokenizer.bos_id, new.stop_ids, new.template) == (1, (2,), None)
    assert new.card.recipe == {"gguf": {"file": "tiny.gguf", "types": {"F32": 16}}}
    same = tf.AutoConfig.from_pretrained(tmp_path / "out").to_diff_dict()
    theirs = tf.AutoConfig.from_pretrained(tiny_model).to_diff_dict()
    assert {k for k in same | theirs if same.get(k) != theirs.get(k)} <= {"_name_or_path"}


@pytest.mark.parametrize(
    ("kind", "dtype"), [(Kind.F16, "float16"), (Kind.BF16, "bfloat16"), (Kind.Q8_0, "bfloat16")]
)
def test_numbers_keep_their_type_and_packed_ones_become_bfloat16(
    tiny_model: Path, tmp_path: Path, kind: Kind, dtype: str
) -> None:
    file = files.tiny_llama(tmp_path / "tiny.gguf", tiny_model, kind)
    assert to_hugging_face(file, tmp_path / "out")["dtype"] == dtype
    before, after = (load_file(f / "model.safetensors") for f in (tiny_model, tmp_path / "out"))
    for name, tensor in after.items():
        assert str(tensor.dtype) == f"torch.{dtype}"
        largest = before[name].abs().max()
        # Half a step of eight bits, and what bfloat16 rounds of it.
        step = {Kind.F16: 2**-11, Kind.BF16: 2**-8, Kind.Q8_0: 1 / 254 + 2**-8}[kind]
        assert (tensor.float() - before[name]).abs().max() <= step * largest, name


SMALL = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
KEYS = {
    "block_count": 4,
    "context_length": 512,
    "embedding_length": 64,
    "feed_forward_length": 128,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-6,
}
WIDE = {"attention.key_length": 32, "attention.value_length": 32}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
    "rope_theta": 500_000.0,
}
FAMILIES: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "llama-biased": (
        "llama",
        lambda: tf.LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-6),
        {},
    ),
    "llama-linear": (
        "llama",
        lambda: tf.LlamaConfig(
            **SMALL, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
        ),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
    ),
    "llama3": (
        "llama",
        lambda: tf.LlamaConfig(**SMALL, tie_word_embeddings=True, rope_parameters=LLAMA3),
        {"rope.freq_base": 500_000.0},
    ),
    "smollm3": (
        "smollm3",
        lambda: tf.SmolLM3Config(**SMALL, tie_word_embeddings=True, rope_theta=5e6),
        {"rope.freq_base": 5e6},
    ),
    "granite": (
        "granite",
        lambda: tf.GraniteConfig(
            **SMALL,
            embedding_multiplier=12.0,
            logits_scaling=8.0,
            residual_multiplier=0.25,
            attention_multiplier=0.125,
        ),
        {
            "embedding_scale": 12.0,
            "logit_scale": 8.0,
            "residual_scale": 0.25,
            "attention.scale": 0.125,
        },
    ),
    "qwen2": (
        "qwen2",
        lambda: tf.Qwen2Config(
            **{**SMALL, "vocab_size": 512},
            tie_word_embeddings=True,
            rope_parameters={**YARN, "rope_theta": 1e6},
        ),
        {
            "rope.freq_base": 1e6,
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 128,
        },
    ),
    "qwen3": (
        "qwen3",
        lambda: tf.Qwen3Config(**SMALL, head_dim=32, tie_word_embeddings=True),
        {**WIDE, "rope.freq_base": 10000.0},
    ),
    "phi3": (
        "phi3",
        lambda: tf.Phi3Config(
            **SMALL, original_max_position_embeddings=512, sliding_window=256, rms_norm_eps=1e-6
        ),
        {"attention.sliding_window": 256, "rope.scaling.original_context_length": 512},
    ),
    "olmo2": ("olmo2", lambda: tf.Olmo2Config(**SMALL, rms_norm_eps=1e-6), {}),
    "gemma2": (
        "gemma2",
        lambda: tf.Gemma2Config(**SMALL, head_dim=32, query_pre_attn_scalar=32, sliding_window=16),
        {
            **WIDE,
            "attention.sliding_window": 16,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
    ),
    "gemma3": (
        "gemma3",
        lambda: tf.Gemma3TextConfig(
            **{**SMALL, "num_hidden_layers": 7},
            head_dim=32,
            query_pre_attn_scalar=32,
            sliding_window=16,
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        ),
        {
            **WIDE,
            "block_count": 7,
            "attention.sliding_window": 16,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
    ),
    "exaone4": (
        "exaone4",
        lambda: tf.Exaone4Config(
            **SMALL,
            head_dim=16,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            sliding_window=16,
            layer_types=["sliding_attention"] * 3 + ["full_attention"],
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        {
            "attention.sliding_window": 16,
            "attention.sliding_window_pattern": [True, True, True, False],
            "rope.freq_base": 1e6,
        },
    ),
}


# Weights that are turned, a byte-level tokenizer, norms and windows of their own.
QUICK = {"llama3", "qwen2", "gemma3"}
every = pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in sorted(FAMILIES)],
)


@every
def test_every_family_computes_as_before(name: str, tiny_model: Path, tmp_path: Path) -> None:
    architecture, config, more = FAMILIES[name]
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(config()).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.2)
    model.save_pretrained(tmp_path / "before")
    turned = (4, 2) if architecture in ("llama", "smollm3", "granite") else None
    tensors = files.tensors_of(tmp_path / "before", architecture, heads=turned)
    if name == "llama3":
        stretched = model.model.rotary_emb.inv_freq.numpy()
        tensors["rope_freqs.weight"] = 500_000.0 ** -(np.arange(8) / 8) / stretched
    says = files.sentencepiece_keys(tiny_model)
    if name == "qwen2":  # whose folders transformers reads as byte-level, whatever they hold
        says = files.byte_keys(byte_level(tmp_path / "bytes", small_ranks()), "qwen2")
    keys = {**KEYS, **more}
    file = files.write(tmp_path / "model.gguf", architecture, keys, says, tensors)
    to_hugging_face(file, tmp_path / "after")
    ids = torch.randint(5, 384, (1, 100), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        read = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "after", dtype="float32")
        before, after = model(ids).logits, read(ids).logits
    # The norms of Gemma lose a bit where one is added to them and taken away.
    torch.testing.assert_close(after, before, atol=1e-4 if "gemma" in name else 0, rtol=0)


def test_a_stretching_that_is_not_llama_3s_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    tensors = files.tensors_of(tiny_model, "llama", heads=(4, 4))
    tensors["rope_freqs.weight"] = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    keys = files.sentencepiece_keys(tiny_model)
    file = files.write(tmp_path / "x.gguf", "llama", files.LLAMA, keys, tensors)
    with pytest.raises(BadData, match=r"rope_freqs\.weight is no stretching of Llama 3's kind"):
        to_hugging_face(file, tmp_path / "out")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rope.scaling.type": "longrope"}, "stretches its context by longrope"),
        ({"expert_count": 8}, r"says llama\.expert_count = 8, which is not read"),
        ({"attention.value_length": 8}, r"says llama\.attention\.value_length = 8, expected 16"),
        ({"attention.head_count_kv": [4, 2]}, r"differs between layers \(\[4, 2\]\)"),
        ({"block_count": None}, r"lacks llama\.block_count"),
        ({"block_count": 0}, "describes 0 layers in 21 tensors"),
        ({"block_count": 10**6}, "describes 1,000,000 layers in 21 tensors"),
        ({"attention.head_count": 0}, "cannot be unpacked: ZeroDivisionError"),
        ({"feed_forward_length": "x"}, "cannot be unpacked"),
        ({"block_count": 3}, r"lacks blk\.2\.attn_q\.weight, which its architecture has"),
        ({"block_count": 1}, r"holds 9 tensors that are not read, such as blk\.1\."),
        ({"feed_forward_length": 96}, r"blk\.0\.ffn_gate\.weight has the shape \[128, 64\], its"),
    ],
)
def test_what_is_not_understood_is_one_sentence(
    tiny_model: Path, tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    file = changed(tmp_path / "x.gguf", tiny_model, **keys)
    with pytest.raises(BadData, match=said):
        to_hugging_face(file, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["x.gguf"]


def test_architectures_and_types_that_are_not_read(tiny_model: Path, tmp_path: Path) -> None:
    keys = files.sentencepiece_keys(tiny_model)
    file = files.write(tmp_path / "x.gguf", "mamba", {}, keys)
    with pytest.raises(BadData, match=r"is a mamba model; of GGUF files exaone4, gemma2, .* are"):
        to_hugging_face(file, tmp_path / "out")
    content = files.tiny_llama(tmp_path / "y.gguf", tiny_model).read_bytes()
    name = b"blk.0.attn_q.weight"
    at = content.index(name) + len(name) + 4 + 16  # behind the dimensions
    for kind, what in ((200, "as type 200, which gguf does not know"), (27, "as I64, which gguf")):
        wrong = content[:at] + kind.to_bytes(4, "little") + content[at + 4 :]
        (tmp_path / "z.gguf").write_bytes(wrong + bytes(1 << 16))
        with pytest.raises(BadData, match=rf"blk\.0\.attn_q\.weight is stored {what}"):
            to_hugging_face(tmp_path / "z.gguf", tmp_path / "out")
    vocabulary = files.write(tmp_path / "v.gguf", "llama", files.LLAMA, keys)
    with pytest.raises(BadData, match="it is a vocabulary without a model"):
        to_hugging_face(vocabulary, tmp_path / "out")


def test_files_that_are_none(tiny_model: Path, tmp_path: Path) -> None:
    whole_file = files.tiny_llama(tmp_path / "tiny.gguf", tiny_model)
    content = whole_file.read_bytes()
    wrong = {
        b"": r"begins with b'', not b'GGUF'",
        b"PK\x03\x04zip": r"is not a GGUF file: it begins with b'PK",
        content[:2000]: "is cut off: its 2,000 bytes end inside its head",
        content[:-5000]: "is cut off: it has .* ends behind them; download it again",
        content[:4] + b"\x00\x00\x00\x03" + content[8:]: "is damaged: .*version 50331648",
        content[:16] + b"\xff" * 8 + content[24:]: "is (damaged|cut off)",
    }
    for number, (bytes_, said) in enumerate(wrong.items()):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(bytes_)
        assert is_gguf(path)
        with pytest.raises(BadData, match=said):
            Gguf(path)
    split = files.write(tmp_path / "s.gguf", "llama", {}, {}, split__count=3)
    with pytest.raises(BadData, match="is one of 3 parts; join them with llama-gguf-split"):
        Gguf(split)
    # By their content too, whatever they are called.
    assert is_gguf(whole_file.rename(tmp_path / "blob"))
    assert not is_gguf(tiny_model / "config.json")
    assert not is_gguf(tiny_model)


def test_a_file_is_unpacked_once_and_anew_when_it_changes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, told = files.tiny_llama(tmp_path / "tiny.gguf", tiny_model), list[str]()
    first = cached(file, told.append)
    assert first.parent == tmp_path and first.name.startswith("tiny.gguf-safetensors-")
    assert told[0] == f"{file}: unpacked once, into {first}"
    size = sum(one.stat().st_size for one in first.iterdir())
    assert told[1] == f"{first}: 131,392 parameters in float32, {size:,} bytes"
    assert cached(file, told.append) == first == as_folder(file)
    assert len(told) == 2
    assert as_folder(first) == first
    files.tiny_llama(file, tiny_model, Kind.Q8_0)
    assert cached(file) != first
    monkeypatch.setenv(kept.CACHE, str(tmp_path / "elsewhere"))
    assert cached(file).parent == tmp_path / "elsewhere" / tmp_path.name
    (cached(file) / "config.json").write_text("{}")
    with pytest.raises(Corrupt, match=r"config\.json does not have"):
        cached(file)


def test_a_disk_without_room_is_told_before_anything_is_written(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files.tiny_llama(tmp_path / "tiny.gguf", tiny_model)
    usage = lambda path: type("Usage", (), {"free": 500_000})  # noqa: E731
    monkeypatch.setattr(kept.shutil, "disk_usage", usage)
    with pytest.raises(TryLater, match=r"needs 0\.0 GB and its disk has 0\.0 GB left"):
        cached(file)
    assert list(tmp_path.iterdir()) == [file]


def test_numbers_come_as_they_were_written(tiny_model: Path, tmp_path: Path) -> None:
    file = changed(tmp_path / "x.gguf", tiny_model, **{"rope.freq_base": 0.1})
    assert Gguf(file).metadata["llama.rope.freq_base"] == 0.1
    to_hugging_face(file, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["rms_norm_eps"] == 1e-6
    reader = gguf.GGUFReader(file)
    theirs = {name: field.contents() for name, field in reader.fields.items()}
    ours = Gguf(file).metadata
    for name in ours:
        assert ours[name] == pytest.approx(theirs[name]) if "freq" in name else True
    assert ours["tokenizer.ggml.tokens"] == theirs["tokenizer.ggml.tokens"]
