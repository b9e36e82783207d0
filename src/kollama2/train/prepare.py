"""Preparing a base for training by one of the methods: full, LoRA, QLoRA."""

from pathlib import Path
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from kollama2.errors import BadData, BadUsage
from kollama2.model.adapter import quiet_peft
from kollama2.model.card import Card, read_card
from kollama2.model.files import CONFIG, read_json
from kollama2.model.load import nf4, place, root, whole
from kollama2.model.tables import table_names
from kollama2.train.settings import TrainSettings


def prepare(folder: Path, settings: TrainSettings, device: str = "auto") -> Any:
    """Load a base for training by one of the methods; trained weights are float32.

    Args:
        folder: whole weights, or an adapter (merged in memory first).
        settings: method and adapter.
        device: as in `load_model`.

    Returns:
        A `PreTrainedModel` (full) or `PeftModel` (lora, qlora).

    Raises:
        BadData: the weights are quantised already.
        BadUsage: the settings name layers that the model does not have.
    """
    config = read_json(root(folder) / CONFIG)
    if "quantization_config" in config:
        kind = config["quantization_config"].get("quant_method", "some method")
        raise BadData(
            f"{folder} holds weights that are quantised already ({kind}); training needs the "
            "model in bfloat16, float16 or float32"
        )
    if settings.method == "full":
        return _freeze(place(whole(folder, "float32"), device), settings, read_card(folder))
    if settings.method == "qlora":
        model = nf4(folder, settings.dtype, device)
    else:
        model = place(whole(folder, settings.dtype), device)
    from peft import LoraConfig, get_peft_model

    embeddings = settings.train_embeddings
    if embeddings is None:
        # Rows of new pieces that nothing ever trained would stay as they began, unseen.
        grown = read_card(folder).vocabulary
        embeddings = grown is not None and not grown.trained
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_targets(model, settings),
        use_dora=settings.dora,
        use_rslora=settings.rslora,
        modules_to_save=list(table_names(model)) if embeddings else None,
        ensure_weight_tying=embeddings and model.config.tie_word_embeddings,
    )
    torch.manual_seed(settings.seed)
    try:
        with quiet_peft():
            model = get_peft_model(model, config)
    except ValueError as error:
        raise BadUsage(f"the adapter does not fit {folder}: {error}") from error
    for _, weight in trained(model):
        weight.data = weight.data.float()
    return model


def _targets(model: Any, settings: TrainSettings) -> list[str]:
    """The linear layers of the language model that get an adapter, by their whole names.

    Never the head, nor anything of a vision tower. Where experts are stored as one tensor (gpt-oss,
    Qwen 3 MoE) they are no layers, and the layers beside them get no adapter either, because PEFT
    0.21 takes their names for the experts'. A Mamba layer's `out_proj` is read by its kernel past
    any adapter.
    """
    decoder = model.get_decoder()
    inside = next(name for name, module in model.named_modules() if module is decoder)
    weights = [(name.split("."), weight.ndim) for name, weight in decoder.named_parameters()]
    experts = {parts[-3] for parts, ndim in weights if "experts" in parts and ndim == 3}
    linear, mamba = [], set()
    for name, layer in decoder.named_modules(prefix=inside):
        if {"A_log", "D"} <= layer._parameters.keys():
            mamba.add(f"{name}.out_proj")
        if isinstance(layer, torch.nn.Linear | Conv1D) and not experts & set(name.split(".")):
            linear.append(name)
    linear = [name for name in linear if name not in mamba]
    if settings.targets == "all-linear":
        return linear
    for target in settings.targets:
        if not any(f".{name}".endswith(f".{target}") for name in linear):
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise BadUsage(f"targets names {target}, but the linear layers are {known}")
    return [n for n in linear if any(f".{n}".endswith(f".{t}") for t in settings.targets)]


def _freeze(model: Any, settings: TrainSettings, about: Card) -> Any:
    """Leave to the optimiser of the language model the blocks and tables of the settings."""
    if model.get_decoder() is not model.base_model:
        model.requires_grad_(False)  # what a wrapper has beside it stays as it came
        model.get_decoder().requires_grad_(True)
        model.get_output_embeddings().requires_grad_(True)
    if settings.layers == "all" and settings.tables:
        return model
    blocks = model.get_decoder().layers
    chosen = range(len(blocks)) if settings.layers == "all" else settings.layers
    if settings.layers == "new":
        chosen = about.new_blocks
        if not chosen:
            raise BadUsage(
                "layers is new, but this model has no new blocks; expand_blocks makes them"
            )
    if wrong := [n for n in chosen if not -len(blocks) <= int(n) < len(blocks)]:
        raise BadUsage(f"layers names {wrong[0]}, but the model has blocks 0 to {len(blocks) - 1}")
    for weight in [weight for _, weight in trained(model)]:
        weight.requires_grad_(settings.tables)
    for at, block in enumerate(blocks):
        block.requires_grad_(at in chosen or at - len(blocks) in chosen)
    return model


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and weight of everything that the optimiser moves."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
