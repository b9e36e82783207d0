import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from kollama2.engine.commit import verify
from kollama2.errors import BadData, BadUsage, Corrupt, Fault, StorageTrouble
from kollama2.llama import ModelArgs, convert
from kollama2.llama.args import read_params
from tests import tiny
from tests.llama import meta_files
from tests.llama.files import forward

IDS = [1, 300, 17, 5, 383, 270, 300, 2, 259, 44]


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("kind", ["tiny", "gqa"])
def test_any_number_of_shards_keeps_the_logits_and_comes_back_bit_equal(
    kind: str, count: int, tmp_path: Path
) -> None:
    meta = meta_files.write(tmp_path / "meta", kind, count)
    about = convert.to_hugging_face(meta, tmp_path / "hf")
    assert about["shards"] == count
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    assert about["parameters"] == sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        found = model(torch.tensor([IDS])).logits[0].numpy()
    expected = forward(meta_files.weights(kind), meta_files.SHAPES[kind], IDS)
    np.testing.assert_allclose(found, expected, atol=1e-4)

    for back in (1, 2, 8):
        out = tmp_path / f"back-{back}"
        convert.to_meta(tmp_path / "hf", out, back)
        original = meta_files.write(tmp_path / f"original-{back}", kind, back)
        assert json.loads((out / "params.json").read_text()) == meta_files.PARAMS[kind]
        for number in range(back):
            name = f"consolidated.{number:02d}.pth"
            ours = torch.load(out / name, weights_only=True)
            theirs = torch.load(original / name, weights_only=True)
            assert ours.keys() == theirs.keys()
            for key, tensor in theirs.items():
                assert torch.equal(ours[key], tensor), key
                assert ours[key].is_contiguous()
        convert.to_hugging_face(out, tmp_path / f"again-{back}")  # its own MD5 sums are right
        digests = {
            hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
            for folder in (tmp_path / "hf", tmp_path / f"again-{back}")
        }
        assert len(digests) == 1


def test_bfloat16_and_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = meta_files.write(tmp_path / "meta", "tiny", 2, torch.bfloat16)
    monkeypatch.setattr("kollama2.model.weights._SHARD_BYTES", 100_000)
    about = convert.to_hugging_face(meta, tmp_path / "hf")
    assert about["dtype"] == "bfloat16"
    files = sorted(path.name for path in (tmp_path / "hf").glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert len(files) > 1
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype="auto")
    assert model.dtype == torch.bfloat16
    convert.to_meta(tmp_path / "hf", tmp_path / "back", 2)
    for number in range(2):
        name = f"consolidated.{number:02d}.pth"
        ours = torch.load(tmp_path / "back" / name, weights_only=True)
        theirs = torch.load(meta / name, weights_only=True)
        assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items())


@pytest.mark.parametrize(
    ("params", "width"),
    [
        ({"dim": 4096, "multiple_of": 256}, 11008),
        ({"dim": 5120, "multiple_of": 256}, 13824),
        ({"dim": 8192, "multiple_of": 4096, "ffn_dim_multiplier": 1.3}, 28672),
    ],
)
def test_the_widths_of_7b_13b_and_70b(params: dict[str, Any], width: int) -> None:
    assert ModelArgs(**params).hidden_dim == width


def test_a_model_that_never_was_metas_becomes_one(tiny_model: Path, tmp_path: Path) -> None:
    convert.to_meta(tiny_model, tmp_path / "meta", 4)
    convert.to_hugging_face(tmp_path / "meta", tmp_path / "hf", tmp_path / "meta/tokenizer.model")
    models = [AutoModelForCausalLM.from_pretrained(p) for p in (tiny_model, tmp_path / "hf")]
    first, second = (model.state_dict() for model in models)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(BadUsage, match="3 shards do not divide 4 heads, 4 key-value heads and 128"):
        convert.to_meta(tiny_model, tmp_path / "no", 3)
    with pytest.raises(BadData, match="has 384 tokens but the checkpoint has 320 embeddings"):
        narrow = tiny.write_model(tmp_path / "narrow", vocab_size=320)
        convert.to_meta(narrow, tmp_path / "narrow-meta")
        convert.to_hugging_face(
            tmp_path / "narrow-meta", tmp_path / "no", tiny_model / "tokenizer.model"
        )
    assert not (tmp_path / "no").exists()


def test_whole_numbers_are_no_weights_of_metas(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {**tensors, "model.norm.weight": torch.ones(64, dtype=torch.int8)},
        folder / "model.safetensors",
    )
    with pytest.raises(
        BadData, match=r"holds model\.norm\.weight in numbers that are not floating"
    ):
        convert.to_meta(folder, tmp_path / "meta")
    assert not (tmp_path / "meta").exists()


def test_the_conversion_is_cached_and_follows_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = meta_files.write(tmp_path / "meta", "tiny", 2)
    first = convert.cached(meta)
    assert first.parent == meta
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert convert.cached(meta) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    os.utime(meta / "consolidated.01.pth", ns=(1, 1))
    assert convert.cached(meta) != first
    monkeypatch.setenv("KOLLAMA2_CACHE", str(tmp_path / "elsewhere"))
    assert convert.cached(meta).is_relative_to(tmp_path / "elsewhere" / "meta")
    (convert.cached(meta) / "config.json").unlink()
    with pytest.raises(Corrupt, match=r"config\.json is missing"):
        convert.cached(meta)


class Bomb:
    """What a malicious file asks the reader to run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.target),)


def damage_nothing(meta: Path) -> None:
    (meta / "consolidated.00.pth").unlink()


def explode(meta: Path) -> None:
    torch.save({"norm.weight": Bomb(meta / "executed")}, meta / "consolidated.01.pth")


def truncate(meta: Path) -> None:
    path = meta / "consolidated.01.pth"
    path.write_bytes(path.read_bytes()[:-100])


def noise(meta: Path) -> None:
    (meta / "consolidated.01.pth").write_bytes(b"<!DOCTYPE html><title>403</title>")


def lack(meta: Path) -> None:
    rewrite(meta, lambda tensors: tensors.pop("layers.1.attention.wo.weight"))


def add(meta: Path) -> None:
    rewrite(meta, lambda tensors: tensors.update({"layers.2.ffn_norm.weight": torch.ones(64)}))


def quantise(meta: Path) -> None:
    rewrite(meta, lambda t: t.update({"norm.weight": torch.ones(64, dtype=torch.int8)}))


def not_a_number(meta: Path) -> None:
    rewrite(meta, lambda tensors: tensors["layers.1.attention.wo.weight"].fill_(float("nan")))


def rewrite(meta: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = meta / "consolidated.01.pth"
    tensors = torch.load(path, weights_only=True)
    change(tensors)
    torch.save(tensors, path)


def params(**changed: object) -> Callable[[Path], None]:
    def change(meta: Path) -> None:
        (meta / "params.json").write_text(json.dumps(meta_files.PARAMS["tiny"] | changed))

    return change


def checklist(meta: Path) -> None:
    (meta / "checklist.chk").write_text(f"{'0' * 32}  consolidated.00.pth\n")


def error_page(meta: Path) -> None:
    (meta / "checklist.chk").write_text("<html>403 Forbidden</html>")


@pytest.mark.parametrize(
    ("damage", "kind", "says"),
    [
        (damage_nothing, BadData, "does not hold consolidated.00.pth and on without a gap"),
        (explode, BadData, "holds code beside them; it was not executed"),
        (truncate, BadData, "01.pth is truncated; fetch it again"),
        (noise, BadData, "is no file of tensors"),
        (lack, BadData, "lacks 1 tensors of its model, such as layers.1.attention.wo.weight"),
        (add, BadData, "1 tensors that params.json does not account for, such as layers.2.ffn"),
        (quantise, BadData, "norm.weight holds torch.int8; quantised files are not read"),
        (
            params(dim=128),
            BadData,
            r"asks for \[384, 64\] in 2 shards: it is the params.json of an",
        ),
        (params(n_layers=1), BadData, "such as layers.1"),
        (params(n_layers=3), BadData, "such as layers.2"),
        (params(max_seq_len=9), BadData, "has the key 'max_seq_len', which no Llama 2 model has"),
        (params(n_heads=5), BadData, "dim = 64 cannot be shared by 5 heads of even width"),
        (
            params(n_layers=10**6),
            BadData,
            "asks for 1,000,000 layers: it is the params",
        ),
        (params(norm_eps=float("inf")), BadData, "norm_eps is inf, not a positive number"),
        (not_a_number, BadData, "layers.1.attention.wo.weight holds NaN or infinities"),
        (params(n_layers=True), BadData, "n_layers is True, not a positive whole number"),
        (params(norm_eps="x"), BadData, "norm_eps is 'x', not a positive number"),
        (checklist, Corrupt, "checklist.chk demands 00000000000000000000000000000000"),
        (error_page, BadData, "is not a list of MD5 sums"),
    ],
)
def test_a_bad_checkpoint_is_one_sentence_and_nothing_is_executed_or_written(
    damage: Callable[[Path], None], kind: type[Fault], says: str, tmp_path: Path
) -> None:
    meta = meta_files.write(tmp_path / "meta", "tiny", 2)
    damage(meta)
    before = sorted(meta.iterdir())
    with pytest.raises(kind, match=says) as error:
        convert.cached(meta)
    assert "\n" not in str(error.value)
    assert sorted(meta.iterdir()) == before


def test_missing_and_broken_params(tmp_path: Path) -> None:
    meta = meta_files.write(tmp_path / "meta", "tiny")
    (meta / "params.json").write_text("{")
    with pytest.raises(BadData, match=r"params\.json is not JSON"):
        read_params(meta / "params.json")
    (meta / "params.json").unlink()
    with pytest.raises(StorageTrouble, match=r"params\.json cannot be written or read: No such"):
        convert.cached(meta)


def test_the_written_folders_are_whole(tmp_path: Path) -> None:
    meta = meta_files.write(tmp_path / "meta", "gqa", 2)
    convert.to_hugging_face(meta, tmp_path / "hf")
    convert.to_meta(tmp_path / "hf", tmp_path / "back", 2)
    for name in ("hf", "back"):
        verify(tmp_path / name, full=True)


def test_the_command_goes_both_ways(
    tiny_tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from kollama2.cli.model import convert as command

    meta = meta_files.write(tmp_path / "meta", "gqa", 2)
    command(meta, tmp_path / "hf", tiny_tokenizer / "tokenizer.model")
    assert "parameters" in capsys.readouterr().err
    AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    command(tmp_path / "hf", tmp_path / "back", to="meta", shards=8)
    assert len(list((tmp_path / "back").glob("*.pth"))) == 8
    assert (tmp_path / "back" / "tokenizer.model").is_file()
    for folder, to in ((meta, "meta"), (tmp_path / "hf", "hf")):
        with pytest.raises(BadUsage, match=f"is in {to} form already"):
            command(folder, tmp_path / "no", to=to)
    with pytest.raises(BadUsage, match="--to is 'gguf'; it can be hf or meta"):
        command(meta, tmp_path / "no", to="gguf")
