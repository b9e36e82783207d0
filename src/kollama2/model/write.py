"""Model folders: written after training, merged from an adapter, or made at random."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kollama2.model.adapter import ROWS
from kollama2.model.card import Card, Vocabulary
from kollama2.model.files import (
    ADAPTER,
    ADAPTER_CONFIG,
    CONFIG,
    GENERATION,
    PROCESSOR,
    copy_files,
    fresh,
    read_json,
    weights_id,
    write_json,
)
from kollama2.model.folder import ModelFolder
from kollama2.model.grow import tables
from kollama2.model.handover import hand_over, taught
from kollama2.model.load import check, stored_dtype, whole
from kollama2.model.renumber import renumber_config
from kollama2.model.stored import opened
from kollama2.model.tables import of_table, table_names, tensor_names, tied
from kollama2.model.weights import ShardWriter, file_state, save_tensors


def write_model(
    model: Any,
    out: Path,
    *,
    base: Path,
    method: str,
    template: str | None,
    recipe: dict[str, Any],
) -> None:
    """Write a trained model: whole weights in the dtype of its base, or the adapter in float32.

    Args:
        model: as `prepare` made it.
        out: the folder to write; what is there is replaced.
        base: the model folder that was trained; adapters refer to it by a relative path.
        method: full, lora or qlora.
        template: name of the chat template the rows were encoded with; None or plain for running
            text, which leaves the base's own in its place.
        recipe: what else the card of the model shall say.
    """
    fresh(out)
    source = ModelFolder.read(base)
    about = Card(
        template=taught(source) if template in (None, "plain") else template,
        method=method,
        vocabulary=_vocabulary(source, model, method),
        recipe=recipe,
    )
    if method == "full":
        write_whole(model, out, source.root.path)
    else:
        _write_adapter(model, out, base.resolve())
        about = about.changed(
            base=os.path.relpath(base.resolve(), out.resolve()),
            base_weights=weights_id(base),
            quantization="nf4" if method == "qlora" else None,
        )
    hand_over(out, source, about)


def _vocabulary(source: ModelFolder, model: Any, method: str) -> Vocabulary | None:
    """What the card says of a vocabulary that grew: whether its rows learned, and on which base.

    The base from before the growth is forgotten when other weights than an adapter's have moved.
    """
    about = source.card.vocabulary
    if about is None:
        return None
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    tables = table_names(model)
    learned = any(of_table(name, tables) for name in names)
    stands = method != "full" and source.base is None
    return about.model_copy(
        update={"trained": about.trained or learned, "base": about.base if stands else None}
    )


def merge(folder: Path, out: Path, onto: Path | None = None) -> None:
    """Merge an adapter onto its base and write a standalone model folder.

    The sum is made in float32 onto the stored weights of the base, never onto 4-bit ones, and
    written in the base's dtype. An adapter of QLoRA was fitted to quantised weights, so its merge
    differs from what was trained by the quantisation error.

    Args:
        folder: the adapter.
        out: the folder to write; what is there is replaced.
        onto: a base in the place of the adapter's own; see `load_model`.

    Raises:
        BadData: `folder` is not an adapter with its base.
    """
    adapter = ModelFolder.read(folder, onto)
    model = whole(folder, "float32", onto)
    fresh(out)
    write_whole(model, out, adapter.root.path)
    own = adapter.card
    card = own.changed(
        template=taught(adapter),
        method="full",
        quantization=None,
        base=None,
        base_weights=None,
        recipe={**own.recipe, "merged": own.method if own.recipe else "adapter"},
    )
    hand_over(out, adapter, card)


def write_rows(base: Path, out: Path) -> None:
    """Write the rows that a grown base has beyond the old vocabulary beside an adapter."""
    about = ModelFolder.read(base).card.vocabulary
    assert about is not None, "the caller saw that it grew"
    embed, head = tables(whole(base))
    rows = {"embed": embed[about.first : about.size].clone()}
    if head is not None:
        rows["head"] = head[about.first : about.size].clone()
    save_tensors(rows, out / ROWS)


def random_like(folder: Path, out: Path, seed: int) -> None:
    """Write a model of the same shape and tokenizer with fresh random weights (a control)."""
    source = ModelFolder.read(folder)
    model = whole(source.root.path, "float32")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.load_state_dict(type(model)(model.config).state_dict())
    fresh(out)
    write_whole(model, out, source.root.path)
    hand_over(out, source, Card(template=taught(source), recipe={"random": seed}))


def write_grown(
    model: Any,
    out: Path,
    *,
    source: Path,
    tokenizer: Path,
    vocabulary: Vocabulary,
    ids: Mapping[int, int] | None = None,
) -> None:
    """Write a grown or smaller model with its tokenizer.

    Args:
        model: from `grow` or `gather`.
        out: the folder to write; what is there is replaced.
        source: the model folder that was changed.
        tokenizer: the folder of the changed tokenizer.
        vocabulary: what the card says of the change.
        ids: the new id of each old one; None where they are the same.
    """
    fresh(out)
    start = ModelFolder.read(source)
    write_whole(model, out, start.root.path)
    if ids is not None:
        renumber_config(out, ids)
    card = start.card.changed(
        template=taught(start), method="full", quantization=None, base=None, vocabulary=vocabulary
    )
    hand_over(out, ModelFolder(tokenizer, card), card)


def write_whole(model: Any, out: Path, source: Path) -> None:
    """Weights under the names and in the dtypes of `source`; its configuration byte for byte.

    What transformers does not load of the source (Qwen 3.5's `mtp`, buffers of old files) is
    copied. The configuration changes only where the model has more rows.
    """
    stored = stored_dtype(check(source))
    state = file_state(model)
    with opened(source) as files:
        # A head beside tied embeddings is what some files hold twice.
        shapes = {name: file.shape(name) for name, file in files.items()}
        twice = tensor_names(shapes, type(model)).head if tied(model) else None
        writer = ShardWriter(out)
        for name, tensor in sorted(state.items()):
            dtype = files[name].dtype(name) if name in files else stored
            writer.add(name, tensor.detach().to("cpu", dtype or tensor.dtype))
        for name in sorted(set(files) - set(state) - {twice}):
            writer.add(name, files[name].get(name))
        writer.close()
    copy_files(source, out, (CONFIG, GENERATION, *PROCESSOR))
    config = read_json(out / CONFIG)
    text = config.get("text_config", config)
    rows = model.get_input_embeddings().weight.shape[0]
    if text.get("vocab_size") != rows:
        text["vocab_size"] = rows
        write_json(out / CONFIG, config)


def _write_adapter(model: Any, out: Path, base: Path) -> None:
    """The adapter's weights and configuration, the same bytes in every process."""
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    # clone: a tied head and its embeddings share memory, which safetensors refuses.
    tensors = {name: w.detach().cpu().clone() for name, w in sorted(weights.items())}
    save_tensors(tensors, out / ADAPTER)
    config = {
        **model.peft_config["default"].to_dict(),
        "base_model_name_or_path": str(base),
        "inference_mode": True,
    }
    plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    text = json.dumps(plain, indent=2, sort_keys=True)
    (out / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
