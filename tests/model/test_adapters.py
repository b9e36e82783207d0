"""Adapters that peft saved elsewhere, on bases that have other rows."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kollama2.errors import BadData
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model, quiet_peft
from kollama2.model.write import merge
from tests.chat_folders import write_folder

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
