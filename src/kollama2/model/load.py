"""One loader for every model folder: whole weights, adapters, NF4.

Only safetensors is read, never pickle, and no code of a model folder is ever executed.
"""

import warnings
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import BitsAndBytesConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
from transformers.utils import logging as hf_logging

from kollama2.errors import BadData, BadUsage, Missing, Notice, first_line
from kollama2.model.adapter import adapter_of
from kollama2.model.card import read_card
from kollama2.model.files import ADAPTER_CONFIG, CONFIG, read_json, weight_files
from kollama2.model.folder import ModelFolder, base_of
from kollama2.model.sound import check_size, configuration, loaded, try_once
from kollama2.model.tokenizer import tokenizer_size

NF4_BLOCK = 64
_WITHOUT_ROWS = 8
"""Tokens that a tokenizer may have beyond the embeddings: Gemma 3's 262,145th has no row."""
Dtype = Literal["auto", "float32", "bfloat16"]

hf_logging.disable_progress_bar()  # stderr belongs to the caller's own progress
hf_logging.set_verbosity_error()  # and what matters of its remarks is said here


def root(folder: Path) -> Path:
    """The folder with the whole weights that `folder` stands on; itself unless an adapter.

    Raises:
        BadData: an adapter does not say where its base is, or it is not there.
    """
    return ModelFolder.read(folder).root.path


def check(folder: Path) -> Any:
    """Read and check the configuration of a folder with whole weights.

    A text model inside a wrapper with a vision tower (Gemma 3, Mistral 3, Qwen 3.5) is one too.
    Warns of tokens that have no row in the embeddings (`Notice`).

    Returns:
        The transformers configuration.

    Raises:
        BadData: not a causal language model in safetensors, only code of its own could run it, or
            its embeddings are smaller than its tokenizer.
    """
    model_class(folder)
    weight_files(folder)
    config = configuration(folder)
    need, have = tokenizer_size(folder), int(config.get_text_config().vocab_size)
    if need > have + _WITHOUT_ROWS:
        raise BadData(
            f"{folder}: the tokenizer has {need} tokens but the embeddings only {have} rows; "
            "they do not belong together"
        )
    if need > have:
        warnings.warn(
            f"{folder}: the tokenizer has {need} tokens and the embeddings {have} rows; "
            f"a text with a token from {have} on cannot be read",
            Notice,
            stacklevel=1,  # the place of this line for every caller, so that it is told once
        )
    return config


def model_class(folder: Path) -> Any:
    """The class of transformers that a folder's configuration names; no weights are looked at.

    Raises:
        BadData: transformers has no such class, or it is no causal language model.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise BadData(f"{folder} holds no {CONFIG}; a model folder in Hugging Face form does")
    raw = read_json(path)
    kind = raw.get("model_type")
    known = _names(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind))
    if "text_config" in raw:
        known += _names(MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.get(kind))
    name = (raw.get("architectures") or [*known, None])[0]
    if name not in known:
        if "auto_map" in raw:
            raise BadData(
                f"{path} asks to run code of its own (auto_map) for {name or kind}, which "
                "transformers does not have; kollama2 never runs such code"
            )
        raise BadData(f"{folder} holds a {name or kind}, not a causal language model")
    return getattr(transformers, name)


def _names(found: Any) -> list[str]:
    """The classes that transformers maps a model type to: none, one or several."""
    if found is None:
        return []
    return list(found) if isinstance(found, tuple) else [found]


def load_parallel(folder: Path, degree: int) -> Any:
    """Load whole weights for inference over the processes of torchrun, each its share of them.

    Args:
        folder: whole weights of an architecture for which transformers has a tensor-parallel plan.
        degree: of the parallelism; the number of processes.

    Returns:
        A `PreTrainedModel` in evaluation mode; its forward gives the same logits in each process.

    Raises:
        BadData: the folder is not such a model.
        BadUsage: it is an adapter.
    """
    from transformers.distributed import DistributedConfig

    if (folder / ADAPTER_CONFIG).is_file():
        raise BadUsage(f"{folder} is an adapter; merge it before it is divided")
    check(folder)
    dtype: Dtype = "auto" if torch.cuda.is_available() else "float32"
    return _from_pretrained(
        folder, dtype, distributed_config=DistributedConfig(tp_size=degree)
    ).eval()


def load_model(
    folder: Path, *, dtype: Dtype = "auto", device: str = "auto", onto: Path | None = None
) -> Any:
    """Load a finished model folder for inference; adapters stay adapters, NF4 stays NF4.

    Args:
        folder: whole weights, or an adapter whose `kollama2.json` names its base.
        dtype: of weights and arithmetic; "auto" is what the base is stored in, but float32 on a
            CPU: many have no bfloat16 instructions and emulate them ten times slower.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.
        onto: the base of an adapter, in the place of its own; it may be the model from before its
            vocabulary grew.

    Returns:
        A `PreTrainedModel` or `PeftModel` in evaluation mode.

    Raises:
        BadData: the folder is not a model that can be loaded.
        Missing: it was trained on NF4 and this platform has no kernel for that.
    """
    if dtype == "auto" and (device == "cpu" or not torch.cuda.is_available()):
        dtype = "float32"
    if not (folder / ADAPTER_CONFIG).is_file():
        return place(whole(folder, dtype), device).eval()
    base = onto or base_of(folder)
    if read_card(folder).quantization == "nf4":
        model = nf4(base, dtype, device)
    else:
        model = place(whole(base, dtype), device)
    return adapter_of(model, folder, base)


def load_folder(folder: ModelFolder, *, device: str = "auto") -> Any:
    """Load a folder, an adapter on the base that it was read with; otherwise as `load_model`."""
    onto = None if folder.base is None else folder.base.path
    return load_model(folder.path, device=device, onto=onto)


def whole(folder: Path, dtype: Dtype = "auto", onto: Path | None = None) -> Any:
    """Load whole weights on the CPU; an adapter is merged in memory, onto its base or another.

    The merge is onto the weights as stored, never onto 4-bit ones (see `merge`).
    """
    if (folder / ADAPTER_CONFIG).is_file():
        base = onto or base_of(folder)
        return adapter_of(whole(base, dtype), folder, base).merge_and_unload(safe_merge=True)
    check(folder)
    return _from_pretrained(folder, dtype)


def nf4(folder: Path, dtype: Dtype = "auto", device: str = "auto") -> Any:
    """Load whole weights quantised to NF4 with double quantisation (QLoRA, arXiv 2305.14314).

    Raises:
        BadUsage: the folder is an adapter; it has to be merged first.
        Missing: bitsandbytes has no kernel here, or a layer is not a multiple of an NF4 block.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        raise BadUsage(f"{folder} is an adapter; merge it before it is quantised to NF4")
    config = check(folder)
    text = config.get_text_config()
    for name in ("hidden_size", "intermediate_size"):
        size = getattr(text, name, NF4_BLOCK)
        if size % NF4_BLOCK:
            raise Missing(
                f"NF4 quantises blocks of {NF4_BLOCK} weights and {name} is {size}; "
                "use lora for this model"
            )
    target = _device(device)
    arithmetic = stored_dtype(config) if dtype == "auto" else getattr(torch, dtype)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=arithmetic,
    )
    try:
        model = _from_pretrained(
            folder, dtype, quantization_config=quantization, device_map={"": target}
        )
        # Else 0.50.2 packs the weights at the first look without gradients, on a CPU with
        # AVX512-BF16: from then on it computes in bfloat16 and no gradient passes the layer.
        for module in model.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
        try_once(model)
    except (BadData, Missing) as fault:
        error = fault.__cause__
        if not isinstance(error, ImportError | NotImplementedError | RuntimeError):
            raise
        raise Missing(
            f"bitsandbytes cannot quantise to NF4 on {target} here ({first_line(error)}); use lora"
        ) from error
    return model


def stored_dtype(config: Any) -> torch.dtype:
    """What a configuration says that most weights are stored in; float32 where it says nothing."""
    said: torch.dtype | None = config.dtype or config.get_text_config().dtype
    return said or torch.float32


def _from_pretrained(folder: Path, dtype: Dtype, **options: Any) -> Any:
    kind = model_class(folder)
    check_size(folder, kind)
    said = dtype if dtype == "auto" else getattr(torch, dtype)
    return loaded(folder, kind, dtype=said, **options)


def _device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise Missing("the profile asks for cuda, and this machine has no CUDA device")
    return device


def place(model: Any, device: str) -> Any:
    """A model on a device by the name that a profile gives it; it computes there once.

    Raises:
        BadData: what it computes is no distribution over its tokens.
        Missing: there is no such device, or a kernel that it needs is not installed.
    """
    model = model.to(_device(device))
    try_once(model)
    return model
