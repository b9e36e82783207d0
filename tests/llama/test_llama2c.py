"""The script that converts llama2.c checkpoints keeps their logits, or says what is wrong."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from safetensors import SafetensorError
from scripts import llama2c
from transformers import AutoModelForCausalLM, AutoTokenizer

from kollama2.engine.commit import verify
from kollama2.errors import BadData, StorageTrouble, TryLater
from tests.llama.files import (
    HEADER,
    Tensors,
    forward,
    legacy_bytes,
    random_model,
    v1_bytes,
)


def greedy(w: Tensors, header: dict[str, int], count: int) -> list[int]:
    ids = [1]
    for _ in range(count):
        ids.append(int(forward(w, header, ids)[-1].argmax()))
    return ids


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("write", [legacy_bytes, v1_bytes])
def test_a_random_model_keeps_its_logits(
    write: Callable[[dict[str, int], Tensors], bytes],
    shared: bool,
    tokenizer_bin: Path,
    tmp_path: Path,
) -> None:
    weights = random_model(HEADER, shared)
    (tmp_path / "model.bin").write_bytes(write(HEADER, weights))
    about = llama2c.convert(tmp_path / "model.bin", tokenizer_bin, tmp_path / "out")
    assert about["format"] == ("legacy" if write is legacy_bytes else "v1")
    assert about["shared_classifier"] == shared
    assert about["parameters"] == sum(part.size for part in weights.values())

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert about["parameters"] == sum(p.numel() for p in model.parameters())
    ids = [1, 300, 17, 5, 383, 270, 300, 2, 259, 44]
    with torch.no_grad():
        found = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(found, forward(weights, HEADER, ids), atol=1e-4)


STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the "
    "park. One day, she saw a big, red ball. She wanted to play with it, but it was too high."
    "\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. "
    'She said, "I want to play with your ball, but I can\'t find it."\n'
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what "
    'to do."\n'
    "Lily didn't want to help her mom, so she"
)


def test_both_real_files_give_the_same_fluent_story(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "models" / "clebert__llama2.zig"
    models: dict[str, Any] = {}
    for layout in ("legacy", "v1"):
        out = tmp_path / layout
        about = llama2c.convert(folder / f"checkpoint_{layout}.bin", folder / "tokenizer.bin", out)
        assert about == {
            "format": layout,
            "parameters": 260032,
            "dim": 64,
            "hidden_dim": 172,
            "layers": 5,
            "heads": 8,
            "kv_heads": 4,
            "vocab": 512,
            "max_length": 512,
            "shared_classifier": True,
        }
        models[layout] = AutoModelForCausalLM.from_pretrained(out).eval()
    legacy, v1 = (models[layout].state_dict() for layout in ("legacy", "v1"))
    assert legacy.keys() == v1.keys()
    assert all(torch.equal(legacy[name], v1[name]) for name in legacy)

    model = models["v1"]
    ids = model.generate(torch.tensor([[1]]), max_new_tokens=200, do_sample=False)[0].tolist()
    auto = AutoTokenizer.from_pretrained(tmp_path / "v1")
    assert auto.decode(ids, skip_special_tokens=True) == STORY
    sp = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "v1" / "tokenizer.model"))
    assert sp.decode(ids) == STORY
    assert auto.encode(STORY) == ids

    raw, header = raw_v1(folder / "checkpoint_v1.bin")
    assert greedy(raw, header, 50) == ids[:51]


def raw_v1(path: Path) -> tuple[Tensors, dict[str, int]]:
    """Read the file once more, by the format's description and none of the project's code."""
    data = path.read_bytes()
    header = dict(zip(HEADER, struct.unpack_from("<7i", data, 8), strict=True))
    d, n, h = header["dim"], header["layers"], header["hidden_dim"]
    kv = d // header["heads"] * header["kv_heads"]
    shapes = {"attention_norm": (n, d), "ffn_norm": (n, d), "norm": (d,)}
    shapes |= {"tok_embeddings": (header["vocab"], d), "wq": (n, d, d), "wk": (n, kv, d)}
    shapes |= {"wv": (n, kv, d), "wo": (n, d, d), "w1": (n, h, d), "w2": (n, d, h)}
    shapes |= {"w3": (n, h, d)}
    weights, at = {}, 256
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        weights[name] = np.frombuffer(data, "<f4", count, at).reshape(shape)
        at += 4 * count
    assert at == len(data)
    return weights, header


GOOD = v1_bytes(HEADER, random_model(HEADER, True))
GOOD_LEGACY = legacy_bytes(HEADER, random_model(HEADER, True))
NAN = struct.pack("<f", float("nan"))


def header(**changed: int) -> bytes:
    return v1_bytes(HEADER | changed, random_model(HEADER, True))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"ak42", "truncated: 4 bytes are less than the 28-byte header"),
        (GOOD[:100], "truncated: 100 bytes are less than the 256-byte header"),
        (GOOD[:-4], "has 111,484 bytes, but the v1 llama2.c header in it asks for 111,488"),
        (GOOD + b"\0", "has 111,489 bytes"),
        (GOOD_LEGACY[:-1], "but the legacy llama2.c header in it asks for 113,308"),
        (b"GGUF" + GOOD[4:], "neither the magic number ak42 with a sound header"),
        (GOOD[:4] + struct.pack("<i", 2) + GOOD[8:], "of version 2; only float32"),
        (GOOD[:36] + b"\7" + GOOD[37:], "shared-classifier byte is 7"),
        (GOOD[:255] + b"\1" + GOOD[256:], "padding is not zero"),
        (header(dim=-32), "dim = -32"),
        (header(layers=0), "layers = 0"),
        (header(heads=3), "dim = 32 for 3 heads"),
        (header(heads=32), "dim = 32 for 32 heads of even size"),
        (header(kv_heads=3), "4 heads for 3 key-value heads"),
        (header(vocab=100), "vocab = 100"),
        (GOOD[:-4] + NAN, "holds NaN or infinity in w3"),
    ],
)
def test_a_bad_checkpoint_is_one_sentence_and_writes_nothing(
    data: bytes, says: str, tokenizer_bin: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(BadData, match=says) as error:
        llama2c.convert(tmp_path / "model.bin", tokenizer_bin, tmp_path / "out")
    assert str(tmp_path / "model.bin") in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_missing_files_and_a_blocked_folder_are_storage_trouble(
    tokenizer_bin: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "model.bin"
    with pytest.raises(StorageTrouble, match=r"model\.bin cannot be written or read: No such file"):
        llama2c.convert(checkpoint, tokenizer_bin, tmp_path / "out")
    checkpoint.write_bytes(GOOD)
    with pytest.raises(StorageTrouble, match=r"none\.bin cannot be written or read: No such file"):
        llama2c.convert(checkpoint, tmp_path / "none.bin", tmp_path / "out")
    with pytest.raises(StorageTrouble, match=r"model\.bin cannot be .* a folder is needed there"):
        llama2c.convert(checkpoint, tokenizer_bin, checkpoint / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(StorageTrouble, match="exists already and is never overwritten"):
        llama2c.convert(checkpoint, tokenizer_bin, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["precious"]


def test_the_folder_is_whole_and_readable_by_others(tokenizer_bin: Path, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(GOOD)
    llama2c.convert(tmp_path / "model.bin", tokenizer_bin, tmp_path / "out")
    verify(tmp_path / "out", full=True)
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()}
    assert modes == {(tmp_path / "model.bin").stat().st_mode & 0o777}
    assert sorted(tmp_path.iterdir()) == [tmp_path / "model.bin", tmp_path / "out"]


def test_a_full_disk_loses_nothing_and_says_so(
    tokenizer_bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    (tmp_path / "model.bin").write_bytes(GOOD)
    with pytest.raises(TryLater, match=r"the disk of .*out is full"):
        llama2c.convert(tmp_path / "model.bin", tokenizer_bin, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]
