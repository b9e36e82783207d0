"""Adapters that peft saved elsewhere, on bases that have other rows."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kollama2.errors import BadData, Notice
from kollama2.model.adapter import quiet_peft
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model
from kollama2.model.write import merge
from tests.chat_folders import write_folder
from tests.jsons import change

ADDED = ["<x>", "여우가", "숲에서", *(f"<{n}>" for n in range(20))]
IDS = torch.tensor([[5, 390, 384, 3]])


def saved(base: Path, out: Path, tables: list[str]) -> torch.Tensor:
    """Train nothing, but save what someone would who added tokens; the logits before."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(ADDED)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.resize_token_embeddings(384 + len(ADDED), mean_resizing=False)
    with quiet_peft(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting `save_embedding_layers`")
        config = LoraConfig(
            task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], modules_to_save=tables
        )
        tuned = get_peft_model(model, config).eval()
        with torch.no_grad():
            for name, weight in tuned.named_parameters():
                if "lora_B" in name or "modules_to_save" in name:
                    weight.normal_(0, 0.2)
            logits: torch.Tensor = tuned(IDS).logits
        tuned.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return logits


def test_tokens_that_were_added_before_training_come_with_the_adapter(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", "mistral-wide")
    expected = saved(base, tmp_path / "adapter", ["embed_tokens", "lm_head"])
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "adapter", device="cpu")(IDS).logits, expected)
        merge(tmp_path / "adapter", tmp_path / "merged")
        whole = load_model(tmp_path / "merged", device="cpu")(IDS).logits
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-5)
    folder = ModelFolder.read(tmp_path / "merged")
    assert folder.config["vocab_size"] == 384 + len(ADDED)
    assert folder.tokenizer.decode(folder.tokenizer.encode("여우가")) == "여우가"


def test_one_table_without_the_other_is_refused(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", "mistral-wide")
    saved(base, tmp_path / "adapter", ["embed_tokens"])
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    kept = {name: one for name, one in load_file(path).items() if "lm_head" not in name}
    save_file(kept, path)
    with pytest.raises(BadData, match="brings the rows of its embeddings only; save both"):
        load_model(tmp_path / "adapter", device="cpu")


def test_adapters_that_change_no_weights_are_refused(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", "mistral-wide")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with quiet_peft(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prefix = get_peft_model(
            model, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
        )
        prefix.save_pretrained(tmp_path / "adapter")
    with pytest.raises(BadData, match="of the kind PREFIX_TUNING, which puts tokens before"):
        load_model(tmp_path / "adapter", device="cpu")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    base = write_folder(tmp_path / "base", "mistral-wide")
    with quiet_peft():
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"])
        get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"r": 10**9}, "says a rank of 1000000000, which its weights do not have"),
        ({"r": {"q_proj": 10**9, "k_proj": 4}}, "says a rank of 1000000000, which its weights"),
        ({"r": {"q_proj": 4}, "rank_pattern": {"q": 10**9}}, "says a rank of 1000000000, which"),
        ({"r": 8}, "is an adapter that does not fit its base: size mismatch for"),
        ({"target_modules": ["nosuch"]}, "is an adapter that does not fit its base: Target modul"),
        ({"target_modules": ["q_proj", "k_proj"]}, r"lacks \d+ weights of its adapter, such as"),
        ({"use_dora": True}, r"lacks \d+ weights of its adapter, such as .*lora_magnitude_vector"),
        ({"peft_type": "NOSUCH"}, "is an adapter that does not fit its base"),
        ({"lora_alpha": "x"}, "lora_alpha is 'x', and it should be a valid number"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, and it should be a finite number"),
    ],
)
def test_a_configuration_of_another_adapter(
    said: dict[str, object], sentence: str, adapter: Path
) -> None:
    change(adapter / "adapter_config.json", **said)
    with pytest.raises(BadData, match=sentence):
        load_model(adapter, device="cpu")


def test_weights_that_an_adapter_does_not_read_are_told(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = min(tensors)
    save_file({**tensors, name.replace("layers.0", "layers.9"): tensors[name].clone()}, path)
    with pytest.warns(Notice, match="holds 1 tensors that are not read, such as .*layers.9"):
        load_model(adapter, device="cpu")


@pytest.mark.parametrize(("number", "sentence"), [(float("nan"), "holds NaN"), (0.0, "all zero")])
def test_numbers_of_an_adapter(number: float, sentence: str, adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({name: one.fill_(number) for name, one in load_file(path).items()}, path)
    with pytest.raises(BadData, match=sentence):
        load_model(adapter, device="cpu")


def test_every_tensor_of_an_adapter_is_looked_at(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = {name: one.fill_(1) for name, one in load_file(path).items()}
    last = max(tensors)
    tensors[last][0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(BadData, match=f"{last} holds NaN or infinities; fetch it again"):
        load_model(adapter, device="cpu")
