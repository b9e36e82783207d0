"""Onto: an adapter that was trained after a vocabulary grew, on the base from before, in one call.

PEFT saves the embeddings of such an adapter but cannot load it on a base of the old size, because
nothing in it says how the base grew. Ours carries the first rows of the new pieces and the hash of
the weights that they were added to.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from kollama2.errors import BadData
from kollama2.model.adapter import adapter_of
from kollama2.model.card import Vocabulary, read_card
from kollama2.model.files import fresh, readable
from kollama2.model.folder import ModelFolder
from kollama2.model.grow import grow, tables, weights_hash
from kollama2.model.handover import hand_over
from kollama2.model.load import Dtype, load_model, nf4, place, whole
from kollama2.model.reading import reading
from kollama2.model.stored import opened
from kollama2.model.write import merged_card, write_whole

ROWS = "new_rows.safetensors"


def write_rows(base: Path, out: Path) -> None:
    """Write the rows that a grown base has beyond the old vocabulary beside an adapter."""
    about = read_card(base).vocabulary
    assert about is not None, "the caller saw that it grew"
    embed, head = tables(whole(base))
    rows = {"embed": embed[about.first : about.size].clone()}
    if head is not None:
        rows["head"] = head[about.first : about.size].clone()
    save_file(rows, out / ROWS, metadata={"format": "pt"})
    readable(out / ROWS)


def load_folder(folder: ModelFolder, *, device: str = "auto") -> Any:
    """Load a model for inference, an adapter on the base that it was read with.

    `device` as in `load.load_model`; the base of an adapter may be from before its vocabulary grew.

    Raises:
        BadData, Missing: as `load.load_model` and `load_onto`.
    """
    if folder.base is None:
        return load_model(folder.path, device=device)
    if before_growth(folder):
        return load_onto(folder.path, folder.base.path, device=device)
    return load_model(folder.path, device=device, onto=folder.base.path)


def before_growth(adapter: ModelFolder) -> bool:
    """Whether an adapter stands on the model from before its vocabulary grew."""
    grown = adapter.card.vocabulary
    if grown is None or adapter.base is None or not (adapter.path / ROWS).is_file():
        return False
    # A pruned base has a vocabulary of its own, which ended where the new rows begin.
    before = adapter.base.card.vocabulary
    return before is None or before.size <= grown.first


def load_onto(adapter: Path, base: Path, *, dtype: Dtype = "auto", device: str = "auto") -> Any:
    """Load an adapter on the base that its vocabulary was added to.

    `dtype` and `device` as in `load.load_model`.

    Returns:
        A `PeftModel` in evaluation mode, its rows and tokenizer those of the training.

    Raises:
        BadData: the adapter belongs to another base.
    """
    if dtype == "auto" and (device == "cpu" or not torch.cuda.is_available()):
        dtype = "float32"
    about = _fitting(adapter, base)
    if read_card(adapter).quantization == "nf4":
        model = nf4(base, dtype, device)
    else:
        model = place(whole(base, dtype), device)
    _grow(model, adapter, about)
    return adapter_of(model, adapter).eval()


def merge_onto(adapter: Path, base: Path, out: Path) -> None:
    """Merge an adapter onto the base that its vocabulary was added to, as a standalone folder.

    Raises:
        BadData: the adapter belongs to another base.
    """
    about = _fitting(adapter, base)
    model = whole(base, "float32")
    _grow(model, adapter, about)
    merged = adapter_of(model, adapter).merge_and_unload(safe_merge=True)
    fresh(out)
    write_whole(merged, out, base)
    trained = ModelFolder.read(adapter, onto=base)
    hand_over(out, trained, merged_card(trained))


def _fitting(adapter: Path, base: Path) -> Vocabulary:
    about = read_card(adapter).vocabulary
    if about is None or not (adapter / ROWS).is_file():
        raise BadData(
            f"{adapter} does not carry the rows of a grown vocabulary; load it on its own base"
        )
    found = weights_hash(base)
    if found != about.base:
        raise BadData(
            f"{adapter} was trained on weights {(about.base or '(none)')[:12]}, but {base} holds "
            f"{found[:12]}; name the base that its vocabulary was added to"
        )
    return about


def _grow(model: Any, adapter: Path, about: Vocabulary) -> None:
    with (
        reading(adapter, f"holds {ROWS} that do not fit the vocabulary of its card"),
        opened(adapter, [adapter / ROWS]) as files,
    ):
        rows = {name: file.get(name) for name, file in files.items()}
        ids = list(range(about.first, about.size))
        grow(model, about.first, ids, rows["embed"], rows.get("head"), about.size)
