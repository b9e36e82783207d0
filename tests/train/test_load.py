"""Model folders: what is loaded, what is refused, what is written."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kollama2.errors import BadData, BadUsage, Missing
from kollama2.model.files import weights_id
from kollama2.model.folder import base_of
from kollama2.model.load import check, load_model, root
from kollama2.model.write import merge, random_like, write_model
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests import tiny
from tests.jsons import change

IDS = torch.tensor([[1, 17, 300, 44, 5, 6, 7, 200]])


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "store" / "base"))


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        answer: torch.Tensor = model(IDS).logits
    return answer


def adapter(base: Path, out: Path, method: str = "lora", **changes: Any) -> Any:
    """An adapter with weights that do something, written to `out`; answers the model itself."""
    settings = TrainSettings(method=method, steps=1, **changes)
    model = prepare(base, settings, "cpu")
    torch.manual_seed(7)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn_like(weight) * ("magnitude" not in name)
    write_model(model, out, base=base, method=method, template="plain", recipe={"seed": 7})
    return model.eval()


@pytest.mark.parametrize(
    "changes",
    [{}, {"dora": True}, {"rslora": True}, {"train_embeddings": True}, {"method": "qlora"}],
)
def test_an_adapter_comes_back_and_merges(
    changes: dict[str, Any], copy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store" / "tuned"
    before = logits(adapter(copy, out, **changes))
    shutil.move(tmp_path / "store", tmp_path / "moved")  # a store can be moved
    out = tmp_path / "moved" / "tuned"
    assert root(out) == tmp_path / "moved" / "base"
    torch.testing.assert_close(logits(load_model(out)), before, atol=1e-6, rtol=0)
    merge(out, tmp_path / "moved" / "merged")
    merged = load_model(tmp_path / "moved" / "merged")
    quantised = changes.get("method") == "qlora"
    distance = (logits(merged) - before).abs().max().item()
    assert distance > 1e-3 if quantised else distance <= 1e-5
    base = logits(load_model(tmp_path / "moved" / "base"))
    assert (logits(merged) - base).abs().max() > 0.01


def test_an_adapter_folder_is_portable_and_the_same_everywhere(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "store" / "tuned"
    adapter(copy, out)
    assert sorted(p.name for p in out.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "kollama2.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]
    card = json.loads((out / "kollama2.json").read_text())
    assert card["base"] == "../base"
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(copy)  # plain peft follows no relative path
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (out / "tokenizer.model").read_bytes() == (copy / "tokenizer.model").read_bytes()
    mask = os.umask(0)
    os.umask(mask)
    assert (out / "adapter_model.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_copied_adapter_finds_its_base_and_takes_no_other(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "store" / "tuned"
    adapter(copy, out)
    alone = Path(shutil.copytree(out, tmp_path / "far" / "away" / "tuned"))
    assert base_of(alone) == copy  # by the absolute path that plain peft follows
    # Where the relative path leads lies another model of the same shape.
    random_like(copy, tmp_path / "far" / "away" / "base", 1)
    assert base_of(alone) == copy
    shutil.rmtree(copy)
    with pytest.raises(BadData, match=r"an adapter of other weights than those in .*far/away/base"):
        base_of(alone)


def test_weights_are_known_by_what_they_are(copy: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(copy, tmp_path / "moved"))
    assert weights_id(moved) == weights_id(copy) != weights_id(tmp_path)
    random_like(copy, tmp_path / "other", 1)
    assert weights_id(tmp_path / "other") != weights_id(copy)
    (moved / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(BadData, match="is no safetensors file"):
        weights_id(moved)


def test_training_may_start_from_an_adapter(copy: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "store" / "one", tmp_path / "store" / "two"
    adapter(copy, first)
    before = logits(adapter(first, second))
    torch.testing.assert_close(logits(load_model(second)), before, atol=1e-5, rtol=0)
    merge(second, tmp_path / "merged")
    torch.testing.assert_close(logits(load_model(tmp_path / "merged")), before, atol=1e-5, rtol=0)
    with pytest.raises(BadUsage, match="merge it before"):
        prepare(first, TrainSettings(method="qlora", steps=1), "cpu")


def test_tied_embeddings_stay_tied(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = tmp_path / "store" / "base"
    tiny.write_model(base)
    change(base / "config.json", tie_word_embeddings=True)
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(base)
    out = tmp_path / "store" / "tuned"
    before = logits(adapter(base, out, train_embeddings=True))
    torch.testing.assert_close(logits(load_model(out)), before, atol=1e-6, rtol=0)
    merge(out, tmp_path / "merged")
    torch.testing.assert_close(logits(load_model(tmp_path / "merged")), before, atol=1e-5, rtol=0)


def test_whole_weights_keep_the_dtype_and_files_of_their_base(copy: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(copy, dtype=torch.bfloat16).save_pretrained(copy)
    model = prepare(copy, TrainSettings(method="full", steps=1), "cpu")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    out = tmp_path / "out"
    write_model(model, out, base=copy, method="full", template="plain", recipe={})
    wanted, found = (load_file(f / "model.safetensors") for f in (copy, out))
    assert {t.dtype for t in found.values()} == {torch.bfloat16}
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    for name in ("config.json", "generation_config.json", "tokenizer.model"):
        assert (out / name).read_bytes() == (copy / name).read_bytes()
    assert "base" not in json.loads((out / "kollama2.json").read_text())


def test_a_random_twin(tiny_model: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        random_like(tiny_model, tmp_path / name, seed)
    one, again, two = (
        load_file(tmp_path / n / "model.safetensors") for n in ("one", "again", "two")
    )
    base = load_file(tiny_model / "model.safetensors")
    assert {n: t.shape for n, t in one.items()} == {n: t.shape for n, t in base.items()}
    head = "lm_head.weight"
    assert torch.equal(one[head], again[head])
    assert not torch.equal(one[head], two[head])
    assert (tmp_path / "one" / "tokenizer.model").is_file()
    assert logits(load_model(tmp_path / "one")).isfinite().all()


def test_what_is_not_a_model_is_refused(copy: Path, tmp_path: Path) -> None:
    config = copy / "config.json"
    whole = config.read_text()
    for values, words in (
        ({"auto_map": {"": "mine.Model"}, "architectures": ["Mine"]}, "run code of its own"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "not a causal language"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "not a causal"),
        ({"vocab_size": 300}, "384 tokens but the embeddings only 300 rows"),
    ):
        change(config, **values)
        with pytest.raises(BadData, match=words):
            check(copy)
        config.write_text(whole)
    config.write_text("{")
    with pytest.raises(BadData, match="is not valid JSON"):
        check(copy)
    config.write_text(whole)
    (copy / "model.safetensors").unlink()
    with pytest.raises(BadData, match=r"holds no weights; expected model\.safetensors"):
        check(copy)
    with pytest.raises(BadData, match=r"no config\.json"):
        check(tmp_path)


def test_lacking_weights_are_refused(copy: Path) -> None:
    from safetensors.torch import save_file

    path = copy / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(BadData, match=r"lacks 1 weights of its model, such as model\.norm"):
        load_model(copy)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadData, match=r"model\.safetensors is damaged"):
        load_model(copy)


def test_an_adapter_without_its_base_is_refused(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "store" / "tuned"
    adapter(copy, out)
    (out / "adapter_model.safetensors").rename(out / "adapter_model.bin")
    with pytest.raises(BadData, match="pickled adapters are never read"):
        load_model(out)
    shutil.rmtree(copy)
    with pytest.raises(BadData, match="which is not on this machine; name its base with --onto"):
        load_model(out)
    (out / "kollama2.json").unlink()
    with pytest.raises(BadData, match="is not on this machine; name its base with --onto"):
        load_model(out)
    change(out / "adapter_config.json", base_model_name_or_path=None)
    with pytest.raises(BadData, match=r"neither kollama2\.json nor adapter_config\.json names"):
        load_model(out)


def test_nf4_says_what_it_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = tiny.write_model(tmp_path / "narrow", hidden=96)
    with pytest.raises(Missing, match="hidden_size is 96; use lora"):
        prepare(narrow, TrainSettings(method="qlora", steps=1), "cpu")

    def no_kernel(*_: object, **__: object) -> None:
        raise NotImplementedError("no kernel for this processor\nand a long story")

    wide = tiny.write_model(tmp_path / "wide")
    monkeypatch.setattr("transformers.LlamaForCausalLM.from_pretrained", no_kernel)
    with pytest.raises(Missing, match=r"on cpu here \(no kernel for this processor\); use lora"):
        prepare(wide, TrainSettings(method="qlora", steps=1), "cpu")


def test_targets_that_do_not_exist(tiny_model: Path) -> None:
    with pytest.raises(BadUsage, match="targets names query_key_value, but the linear"):
        prepare(tiny_model, TrainSettings(steps=1, targets=("query_key_value",)), "cpu")


def test_cuda_is_not_made_up(tiny_model: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(Missing, match="no CUDA device"):
        load_model(tiny_model, device="cuda")


def test_nf4_learns_on_after_an_evaluation(tmp_path: Path) -> None:
    """On every processor: bitsandbytes has a kernel for some that ends the gradients."""
    settings = TrainSettings(method="qlora", steps=1, dtype="float32")
    model = prepare(tiny.write_model(tmp_path / "wide"), settings, "cpu")
    ids = torch.tensor([[5, 6, 7, 8]])

    def learned() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        loss = model.train()(input_ids=ids, labels=ids).loss
        loss.backward()
        grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        return loss.detach(), grads

    loss, before = learned()
    with torch.no_grad():
        model.eval()(input_ids=ids)
    again, after = learned()
    assert again == loss
    assert before.keys() == after.keys() != set()
    for name, gradient in before.items():
        assert torch.equal(gradient, after[name])
