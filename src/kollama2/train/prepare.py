"""Preparing a base for training by one of the methods: full, LoRA, QLoRA."""

from pathlib import Path
from typing import Any

import torch

from kollama2.errors import BadUsage
from kollama2.model.card import Card, read_card
from kollama2.model.load import nf4, place, quiet_peft, whole
from kollama2.train.settings import TrainSettings


def prepare(folder: Path, settings: TrainSettings, device: str = "auto") -> Any:
    """Load a base for training by one of the methods; trained weights are float32.

    Args:
        folder: whole weights, or an adapter (merged in memory first).
        settings: method and adapter.
        device: as in `load_model`.

    Returns:
        A `PreTrainedModel` (full) or `PeftModel` (lora, qlora).
    """
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
        target_modules=(
            settings.targets if settings.targets == "all-linear" else list(settings.targets)
        ),
        use_dora=settings.dora,
        use_rslora=settings.rslora,
        modules_to_save=["embed_tokens", "lm_head"] if embeddings else None,
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


def _freeze(model: Any, settings: TrainSettings, about: Card) -> Any:
    """Leave to the optimiser only the blocks and tables of the settings."""
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
    model.requires_grad_(settings.tables)
    for at, block in enumerate(blocks):
        block.requires_grad_(at in chosen or at - len(blocks) in chosen)
    return model


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and weight of everything that the optimiser moves."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
