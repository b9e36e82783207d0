"""Configurations and weights that do not belong together, and models that compute nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kollama2.errors import BadData, Missing, Notice
from kollama2.model.load import load_model
from tests.jsons import change

WEIGHTS = "model.safetensors"
Q = "model.layers.{}.self_attn.q_proj.{}"


def say(folder: Path, **values: Any) -> Path:
    change(folder / "config.json", **values)
    return folder


def weigh(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, and it should be greater than"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, and it should be greater than"),
        ({"num_hidden_layers": 1}, r"holds model\.layers\.1\.\S+, which the model that its"),
        ({"num_hidden_layers": 3}, "lacks 9 weights of its model, such as model.layers.2."),
        ({"num_hidden_layers": 10**6}, "describes 1,000,000 layers, and its files hold 21 tensors"),
        (
            {"vocab_size": 10**9},
            r"describes 128,[0-9,]{11} parameters, and its files hold",
        ),
        ({"vocab_size": 385}, r"has the shape \[384, 64\], its config.json asks for \[385, 64\]"),
        ({"hidden_size": "64"}, "hidden_size is '64', and it should be a valid integer"),
        ({"rms_norm_eps": -1.0}, "gives NaN or infinities; its weights or its config.json are"),
        ({"rms_norm_eps": "x"}, "holds a config.json that"),
        ({"rope_parameters": {"rope_type": "nosuch"}}, "nosuch"),
        ({"rope_parameters": {"rope_theta": 0.0}}, "rotary_emb.inv_freq holds NaN or infinities"),
        ({"rope_parameters": 7}, "holds a config.json that"),
        ({"architectures": "LlamaForCausalLM"}, "architectures is 'LlamaForCausalLM', and it"),
    ],
)
def test_a_configuration_of_another_model(
    said: dict[str, Any], sentence: str, copied: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(BadData, match=sentence):
        load_model(say(copied, **said), device="cpu")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "said",
    [
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization_config": {"quant_method": "awq", "bits": 4}},
        {"attn_implementation": "flash_attention_2"},
    ],
)
def test_what_is_not_installed_is_missing(said: dict[str, Any], copied: Path) -> None:
    with pytest.raises(Missing, match="needs what is not installed here"):
        load_model(say(copied, **said), device="cpu")


def nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors[Q.format(1, "weight")][3, 4] = float("nan")


def zero(tensors: dict[str, torch.Tensor]) -> None:
    for tensor in tensors.values():
        tensor.zero_()


def biased(tensors: dict[str, torch.Tensor]) -> None:
    tensors[Q.format(0, "bias")] = torch.ones(64)


def whole_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors[Q.format(0, "weight")] = torch.ones(64, 64, dtype=torch.int8)


def lacking(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[Q.format(0, "weight")]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (nan, r"model\.layers\.1\.self_attn\.q_proj\.weight holds NaN or infinities"),
        (zero, "gives every token the same logit"),
        (biased, r"holds model\.layers\.0\.self_attn\.q_proj\.bias, which the model that its con"),
        (whole_numbers, r"holds whole numbers or bytes in model\.layers\.0\.self_attn\.q_proj\.we"),
        (lacking, r"lacks 1 weights of its model, such as model\.layers\.0\.self_attn\.q_proj"),
    ],
)
def test_weights_of_another_model(
    change: Callable[[dict[str, torch.Tensor]], None], sentence: str, copied: Path
) -> None:
    with pytest.raises(BadData, match=sentence):
        load_model(weigh(copied, change), device="cpu")


def test_what_is_not_read_is_told(copied: Path) -> None:
    weigh(copied, lambda tensors: tensors.update({"value_head.weight": torch.ones(1, 64)}))
    with pytest.warns(Notice, match="holds 1 tensors that are not read, such as value_head"):
        load_model(copied, device="cpu")


def test_a_trial_changes_no_random_number(copied: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_model(copied, device="cpu")
    assert torch.equal(torch.rand(1), expected)
